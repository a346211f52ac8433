from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
from collections import OrderedDict

import h5py
import numpy as np
import pytest
import scipy.io

from milmer_cli.datasets.deap.preprocessed import (
    check_labels,
    damaged_trials,
    read_preprocessed,
)
from milmer_cli.datasets.deap.ratings import RatedTrial
from milmer_cli.datasets.synthetic.preprocessed_writer import write_dat, write_mat
from milmer_cli.eeg import mat_file
from milmer_cli.errors import InputError
from milmer_cli.parallel import run_isolated


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 10, (3, 40, 384 + 256)), rng.uniform(1, 9, (3, 4))


def _python2(path, data, labels):
    write_dat(path, data, labels)


def _protocol_2(path, data, labels):
    path.write_bytes(pickle.dumps({"data": data, "labels": labels}, protocol=2))


def _protocol_5(path, data, labels):
    path.write_bytes(pickle.dumps({"data": data, "labels": labels}, protocol=5))


def _bytes_keys(path, data, labels):
    path.write_bytes(pickle.dumps({b"data": data, b"labels": labels}, protocol=4))


def _lists(path, data, labels):
    path.write_bytes(pickle.dumps({"data": data.tolist(), "labels": labels.tolist()}))


def _lists_of_arrays(path, data, labels):
    content = {"data": [list(trial) for trial in data], "labels": [list(row) for row in labels]}
    path.write_bytes(pickle.dumps(content, protocol=2))


def _ordered(path, data, labels):
    path.write_bytes(pickle.dumps(OrderedDict(data=data, labels=labels)))


def _big_endian(path, data, labels):
    _protocol_2(path, data.astype(">f8"), labels.astype(">f8"))


@pytest.mark.parametrize(
    "write",
    [
        *(_python2, _protocol_2, _protocol_5, _bytes_keys, _lists, _lists_of_arrays),
        *(_ordered, _big_endian),
    ],
)
def test_read_preprocessed_dat_and_mat_are_equal(tmp_path, arrays, write):
    data, labels = arrays
    write(tmp_path / "s01.dat", data, labels)
    write_mat(tmp_path / "s01.mat", data, labels)
    dat, mat = (read_preprocessed(tmp_path / f"s01.{kind}") for kind in ("dat", "mat"))
    for read in (dat, mat):
        np.testing.assert_array_equal(read.data, data)
        np.testing.assert_array_equal(read.labels, labels)
        assert read.duration_s == 2.0


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "i8"])
def test_read_preprocessed_other_types_and_protocols(tmp_path, arrays, protocol, dtype):
    data, labels = (np.asfortranarray(array.astype(dtype)) for array in arrays)
    path = tmp_path / "s01.dat"
    path.write_bytes(pickle.dumps({"data": data, "labels": labels}, protocol=protocol))
    read = read_preprocessed(path)
    np.testing.assert_array_equal(read.data, data)
    np.testing.assert_array_equal(read.labels, labels)
    assert read.data.dtype == read.labels.dtype == np.float64


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02Nr\xff\xff\xff\x3f.",  # remembers None under the number 2^30 - 1
        b"\x80\x02}r\x00\x00\x00\x7f.",
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x.",  # bytes of 1 TiB
        b"\x80\x04\x96" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x04\x95" + (2**40).to_bytes(8, "little") + b"}.",
        b"p999999999\n.",
        b"I" + b"9" * 10_000 + b"\n.",
        b"",
        b".",
        b"(" * 100_000,
    ],
)
def test_read_preprocessed_rejects_impossible_sizes(tmp_path, content):
    path = tmp_path / "s01.dat"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"s01\.dat"):
            read_preprocessed(path)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_read_preprocessed_rejects_lists_larger_than_the_file(tmp_path):
    values = [0.0] * 100
    for _ in range(4):
        values = [values] * 100
    (tmp_path / "s01.dat").write_bytes(pickle.dumps({"data": values, "labels": [[1.0]]}))
    with pytest.raises(InputError, match="more values than the file has bytes"):
        read_preprocessed(tmp_path / "s01.dat")


def test_read_preprocessed_column_major_arrays(tmp_path, arrays):
    data, labels = arrays
    _protocol_5(tmp_path / "s01.dat", np.asfortranarray(data), np.asfortranarray(labels))
    np.testing.assert_array_equal(read_preprocessed(tmp_path / "s01.dat").data, data)


class _Runs:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_read_preprocessed_does_not_execute_a_malicious_pickle(tmp_path, arrays, protocol):
    data, labels = arrays
    ran = tmp_path / "ran"
    content = {"data": data, "labels": labels, "x": _Runs(os.system, f"touch {ran}")}
    path = tmp_path / "s01.dat"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(InputError, match=r"refers to posix\.system|nt\.system"):
        read_preprocessed(path)
    assert not ran.exists()


@pytest.mark.parametrize(
    "hostile",
    [
        _Runs(eval, "1"),
        _Runs(getattr, "", "join"),
        _Runs(np.load, "x"),
        _Runs(np.ndarray, (1,)),
        np.ma.array([1.0]),
        _Runs(pickle.loads, b""),
    ],
)
def test_read_preprocessed_creates_only_plain_arrays(tmp_path, hostile):
    path = tmp_path / "s01.dat"
    path.write_bytes(pickle.dumps(hostile, protocol=2))
    with pytest.raises(InputError, match="was not loaded"):
        read_preprocessed(path)


def test_read_preprocessed_encodes_only_latin1(tmp_path):
    path = tmp_path / "s01.dat"
    path.write_bytes(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    with pytest.raises(InputError, match="was not loaded"):
        read_preprocessed(path)


def _mat(path, arrays):
    data, labels = arrays
    scipy.io.savemat(path, {"data": data, "labels": labels})
    return path


@pytest.mark.parametrize("position", [184, 185])
def test_read_preprocessed_survives_a_bit_that_can_crash_scipy(tmp_path, arrays, position):
    """Whether SciPy crashes or raises an exception depends on what lies behind its arrays."""
    path = _mat(tmp_path / "s01.mat", arrays)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"s01\.mat cannot be read as a MATLAB file: .*\w"):
        read_preprocessed(path)


def test_read_preprocessed_names_the_file_whose_reader_crashes(tmp_path, arrays, monkeypatch):
    crash = "import os, signal\ndef main(): os.kill(os.getpid(), signal.SIGSEGV)\n"
    (tmp_path / "crashing.py").write_text(crash)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        mat_file, "run_isolated", lambda _, *options: run_isolated("crashing:main", *options)
    )
    path = _mat(tmp_path / "s01.mat", arrays)
    with pytest.raises(InputError, match=r"s01\.mat cannot be read .* crashed \(SIGSEGV\)"):
        read_preprocessed(path)


def test_read_preprocessed_rejects_a_mat_that_states_64_gib(tmp_path, arrays):
    path = _mat(tmp_path / "s01.mat", arrays)
    content = path.read_bytes()
    shape = struct.pack("<3i", *arrays[0].shape)
    assert content.count(shape) == 1
    path.write_bytes(content.replace(shape, struct.pack("<3i", 1024, 1024, 8192)))
    with pytest.raises(InputError, match=r"data has 8,589,934,592 values .* cannot be in"):
        read_preprocessed(path)


def _write_hdf5(path, data, labels, **options):
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("data", data=data.T, **options)
        file.create_dataset("labels", data=labels.T)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "chunks": True}])
def test_read_preprocessed_reads_matlab_7_3(tmp_path, arrays, options):
    _write_hdf5(tmp_path / "s01.mat", *arrays, **options)
    read = read_preprocessed(tmp_path / "s01.mat")
    np.testing.assert_array_equal(read.data, arrays[0])
    np.testing.assert_array_equal(read.labels, arrays[1])


def test_read_preprocessed_rejects_hdf5_that_states_64_gib_or_refers_to_other_files(
    tmp_path, arrays
):
    path = tmp_path / "s01.mat"
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (8192, 1024, 1024), "f8", chunks=(64, 64, 64))
        file["labels"] = arrays[1].T
    with pytest.raises(InputError, match=r"data has 8,589,934,592 values .* cannot be in"):
        read_preprocessed(path)
    _write_hdf5(tmp_path / "other.mat", *arrays)
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink("other.mat", "data")
        file["labels"] = arrays[1].T
    with pytest.raises(InputError, match="data is a link to another file"):
        read_preprocessed(path)
    layout = h5py.VirtualLayout(arrays[0].T.shape, "f8")
    layout[...] = h5py.VirtualSource(tmp_path / "other.mat", "data", arrays[0].T.shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout)
        file["labels"] = arrays[1].T
    with pytest.raises(InputError, match="data is stored in another file"):
        read_preprocessed(path)


def test_read_preprocessed_explains_any_other_mat(tmp_path):
    scipy.io.savemat(tmp_path / "s01.mat", {"eeg": np.zeros((3, 4)), "fs": 250})
    with pytest.raises(InputError, match="expected the variables data and labels, got eeg, fs"):
        read_preprocessed(tmp_path / "s01.mat")
    (tmp_path / "s01.mat").write_bytes(b"text")
    with pytest.raises(InputError, match=r"s01\.mat cannot be read as a MATLAB file"):
        read_preprocessed(tmp_path / "s01.mat")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_damaged_trials_names_participant_and_trial(tmp_path, arrays, value):
    data, labels = arrays
    data[1, 5, 100] = value
    data[2, 38, 100] = value  # not a channel that is used
    write_dat(tmp_path / "s01.dat", data, labels)
    rows = {trial: RatedTrial(trial, (5, 5, 5, 5)) for trial in (1, 2, 3)}
    found = damaged_trials(read_preprocessed(tmp_path / "s01.dat"), rows, tmp_path / "s01.dat")
    assert list(found) == [2]
    assert "trial 2 of s01" in found[2]


@pytest.mark.parametrize("kind", ["dat", "mat"])
def test_read_preprocessed_rejects_a_truncated_file(tmp_path, arrays, kind):
    path = tmp_path / f"s01.{kind}"
    (write_dat if kind == "dat" else write_mat)(path, *arrays)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"s01\.{kind}"):
        read_preprocessed(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros((3, 8, 640))}, r"got \(3, 8, 640\)"),
        ({"data": np.zeros((3, 40, 384))}, r"got \(3, 40, 384\)"),
        ({"labels": np.zeros((2, 4))}, "labels"),
        ({"labels": np.zeros((3, 3))}, "labels"),
        ({"data": np.zeros((40, 640))}, "expected an array data"),
        ({"data": np.array([[["a"]]])}, "expected an array data"),
        ({"data": None}, "expected an array data"),
    ],
)
def test_read_preprocessed_rejects_other_shapes(tmp_path, arrays, change, message):
    content = {"data": arrays[0], "labels": arrays[1]} | change
    path = tmp_path / "s01.dat"
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(InputError, match=message):
        read_preprocessed(path)
    if change.get("data", 1) is not None:
        scipy.io.savemat(tmp_path / "s01.mat", content)
        with pytest.raises(InputError, match=r"s01\.mat"):
            read_preprocessed(tmp_path / "s01.mat")


def test_check_labels_rejects_labels_of_another_trial(tmp_path, arrays):
    data, labels = arrays
    labels = np.round(labels, 2)
    write_dat(tmp_path / "s01.dat", data, labels)
    read = read_preprocessed(tmp_path / "s01.dat")
    order = {1: 3, 2: 1, 3: 2}
    right = {trial: RatedTrial(row, tuple(labels[row - 1])) for trial, row in order.items()}
    check_labels(read, right, tmp_path / "s01.dat")
    by_index = {trial: RatedTrial(trial, right[trial].ratings) for trial in order}
    with pytest.raises(InputError, match=r"s01\.dat, trial 1 \(Experiment_id 1\)"):
        check_labels(read, by_index, tmp_path / "s01.dat")
    nudged = right | {2: RatedTrial(1, tuple(labels[0] + [0, 0, 0, 0.02]))}
    with pytest.raises(InputError, match="trial 2"):
        check_labels(read, nudged, tmp_path / "s01.dat")
    with pytest.raises(InputError, match="has 3 rows"):
        check_labels(read, {1: RatedTrial(4, right[1].ratings)}, tmp_path / "s01.dat")
