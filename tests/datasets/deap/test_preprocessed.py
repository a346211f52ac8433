from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import scipy.io

from milmer_cli.datasets.deap.preprocessed import check_labels, read_preprocessed
from milmer_cli.datasets.deap.ratings import RatedTrial
from milmer_cli.datasets.synthetic.preprocessed_writer import write_dat, write_mat
from milmer_cli.errors import InputError


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


@pytest.mark.parametrize("write", [_python2, _protocol_2, _protocol_5])
def test_read_preprocessed_dat_and_mat_are_equal(tmp_path, arrays, write):
    data, labels = arrays
    write(tmp_path / "s01.dat", data, labels)
    write_mat(tmp_path / "s01.mat", data, labels)
    dat, mat = (read_preprocessed(tmp_path / f"s01.{kind}") for kind in ("dat", "mat"))
    for read in (dat, mat):
        np.testing.assert_array_equal(read.data, data)
        np.testing.assert_array_equal(read.labels, labels)
        assert read.duration_s == 2.0


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
