from __future__ import annotations

import numpy as np
import pytest

from milmer_cli.datasets.deap.bdf import open_deap_bdf, read_stimulus_marks
from milmer_cli.eeg.biosemi import open_bdf, status_codes
from milmer_cli.eeg.channels import GENEVA, TWENTE
from milmer_cli.errors import InputError

N = 512 * 6
EVENTS = [(100, 1), (600, 3), (1000, 4), (1800, 5), (2000, 4), (2801, 5), (2900, 7)]


def _ramp(names) -> dict[str, np.ndarray]:
    """Values that encode the electrode and the sample, in steps that a BDF can store."""
    return {name: GENEVA.index(name) * 4000.0 + np.arange(N) for name in names}


@pytest.mark.parametrize("labels", [("Status",), ("",), ("", "")])
@pytest.mark.parametrize("high", [False, True])
def test_read_stimulus_marks_under_every_name_of_the_status_channel(
    tmp_path, write_bdf, status_words, labels, high
):
    path = write_bdf(tmp_path / "s29.bdf", _ramp(GENEVA), status_words(N, EVENTS, high), labels)
    raw = open_bdf(path)
    assert raw.get_channel_types(picks=["Status"]) == ["stim"]
    marks = read_stimulus_marks(path)
    assert {trial: mark.onset_s for trial, mark in marks.items()} == {1: 1000 / 512, 2: 2000 / 512}
    assert [mark.duration_s for mark in marks.values()] == [800 / 512, 801 / 512]
    assert set(status_codes(raw)) == {0, 1, 3, 4, 5, 7}


def test_read_stimulus_marks_without_an_end_have_no_duration(tmp_path, write_bdf, status_words):
    words = status_words(N, [(500, 4), (1500, 4), (2500, 5)])
    marks = read_stimulus_marks(write_bdf(tmp_path / "s01.bdf", _ramp(GENEVA), words))
    assert [mark.duration_s for mark in marks.values()] == [None, 1000 / 512]


@pytest.mark.parametrize("order", [GENEVA, TWENTE, tuple(reversed(GENEVA))])
def test_open_deap_bdf_every_channel_order_becomes_geneva_order(
    tmp_path, write_bdf, status_words, order
):
    signals = {f"EXG{n}": np.full(N, -n * 100.0) for n in (5, 4, 3, 2, 1)} | _ramp(order)
    path = write_bdf(tmp_path / "s01.bdf", signals, status_words(N, EVENTS), ("", ""))
    block = open_deap_bdf(path)
    assert block.raw.ch_names[:32] == list(GENEVA)
    assert block.pass_band_hz is None
    microvolts = block.raw.get_data(picks="eeg", units="uV")
    expected = np.array([_ramp(GENEVA)[name] for name in GENEVA])
    # a BDF stores steps of 1/32 microvolt
    np.testing.assert_allclose(microvolts, expected, atol=0.02)
    eyes = block.raw.get_data(picks=[name for pair in block.eog for name in pair], units="uV")
    np.testing.assert_allclose(eyes.mean(axis=1), [-100, -200, -300, -400], atol=0.02)
    assert block.onset_s == {1: 1000 / 512, 2: 2000 / 512}


def test_open_deap_bdf_matches_names_in_any_case(tmp_path, write_bdf, status_words):
    signals = {name.upper(): row for name, row in _ramp(TWENTE).items()}
    block = open_deap_bdf(
        write_bdf(tmp_path / "s01.bdf", signals, status_words(N, EVENTS), ("STATUS",))
    )
    assert block.raw.ch_names[:32] == list(GENEVA)
    assert block.eog == ()


def test_open_deap_bdf_names_the_missing_electrodes(tmp_path, write_bdf, status_words):
    signals = _ramp([name for name in TWENTE if name not in {"PO3", "Cz"}])
    path = write_bdf(tmp_path / "s01.bdf", signals, status_words(N, EVENTS))
    with pytest.raises(InputError, match=r"s01\.bdf lacks the channels PO3, Cz"):
        open_deap_bdf(path)
