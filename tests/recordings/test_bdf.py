from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.errors import InputError
from milmer_cli.recordings.bdf import open_bdf, read_bdf, status_codes, stimulus_marks, trial_onsets
from milmer_cli.recordings.channels import GENEVA, TWENTE

N = 512 * 6
EVENTS = [(100, 1), (600, 3), (1000, 4), (1800, 5), (2000, 4), (2801, 5), (2900, 7)]


def _ramp(names) -> dict[str, np.ndarray]:
    """A value that tells the electrode (by name) and the sample, in steps a BDF keeps."""
    return {name: GENEVA.index(name) * 4000.0 + np.arange(N) for name in names}


@pytest.mark.parametrize("labels", [("Status",), ("",), ("", "")])
@pytest.mark.parametrize("high", [False, True])
def test_marks_are_found_under_every_name_of_the_status_channel(
    tmp_path, write_bdf, status_words, labels, high
):
    path = write_bdf(tmp_path / "s29.bdf", _ramp(GENEVA), status_words(N, EVENTS, high), labels)
    raw = open_bdf(path)
    assert raw.get_channel_types(picks=["Status"]) == ["stim"]
    assert trial_onsets(raw) == {1: 1000 / 512, 2: 2000 / 512}
    assert [mark.duration_s for mark in stimulus_marks(raw)] == [800 / 512, 801 / 512]
    assert set(status_codes(raw)) == {0, 1, 3, 4, 5, 7}


def test_a_stimulus_without_an_end_has_no_duration(tmp_path, write_bdf, status_words):
    words = status_words(N, [(500, 4), (1500, 4), (2500, 5)])
    marks = stimulus_marks(open_bdf(write_bdf(tmp_path / "s01.bdf", _ramp(GENEVA), words)))
    assert [mark.duration_s for mark in marks] == [None, 1000 / 512]


@pytest.mark.parametrize("order", [GENEVA, TWENTE, tuple(reversed(GENEVA))])
def test_every_order_on_disk_ends_in_geneva_order(tmp_path, write_bdf, status_words, order):
    signals = {f"EXG{n}": np.full(N, -n * 100.0) for n in (5, 4, 3, 2, 1)} | _ramp(order)
    path = write_bdf(tmp_path / "s01.bdf", signals, status_words(N, EVENTS), ("", ""))
    block = read_bdf(path)
    assert block.raw.ch_names[:32] == list(GENEVA)
    assert not block.cleaned
    microvolts = block.raw.get_data(picks="eeg", units="uV")
    expected = np.array([_ramp(GENEVA)[name] for name in GENEVA])
    # a BDF keeps steps of 1/32 microvolt
    np.testing.assert_allclose(microvolts, expected, atol=0.02)
    eyes = block.raw.get_data(picks=[name for pair in block.eog for name in pair], units="uV")
    np.testing.assert_allclose(eyes.mean(axis=1), [-100, -200, -300, -400], atol=0.02)
    assert block.onset_s == {1: 1000 / 512, 2: 2000 / 512}


def test_names_are_matched_whatever_the_case(tmp_path, write_bdf, status_words):
    signals = {name.upper(): row for name, row in _ramp(TWENTE).items()}
    block = read_bdf(write_bdf(tmp_path / "s01.bdf", signals, status_words(N, EVENTS), ("STATUS",)))
    assert block.raw.ch_names[:32] == list(GENEVA)
    assert block.eog == ()


def test_a_missing_electrode_is_named(tmp_path, write_bdf, status_words):
    signals = _ramp([name for name in TWENTE if name not in {"PO3", "Cz"}])
    path = write_bdf(tmp_path / "s01.bdf", signals, status_words(N, EVENTS))
    with pytest.raises(InputError, match=r"s01\.bdf lacks the channels PO3, Cz"):
        read_bdf(path)


def test_no_status_channel_is_said(tmp_path, write_bdf):
    path = write_bdf(tmp_path / "s01.bdf", _ramp(GENEVA), None)
    with pytest.raises(InputError, match="no status channel"):
        open_bdf(path)


@pytest.mark.parametrize("keep", [0.99, 0.5, 0.0])
def test_a_truncated_file_is_refused(tmp_path, write_bdf, status_words, keep):
    path = write_bdf(tmp_path / "s01.bdf", _ramp(GENEVA), status_words(N, EVENTS))
    whole = path.read_bytes()
    head = 256 * 34
    path.write_bytes(whole[: head + int(keep * (len(whole) - head))])
    with pytest.raises(InputError, match=r"s01\.bdf is truncated: its header promises") as error:
        open_bdf(path)
    assert error.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\xffBIOSEMI", "not a BDF"), (b"no recording at all" * 100, "not a BDF")],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, message):
    path = tmp_path / "s01.bdf"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_bdf(path)
