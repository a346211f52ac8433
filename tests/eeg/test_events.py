from __future__ import annotations

import datetime
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest

from helpers import event_onsets, write_gdf
from milmer_cli.eeg.events import Event, read_events
from milmer_cli.eeg.io import open_eeg
from milmer_cli.errors import InputError


def test_event_onsets_bdf_ignores_battery_bits(tmp_path, write_bdf, status_words):
    words = status_words(512 * 6, [(512, 4), (1024, 9), (2048, 4)])
    path = write_bdf(tmp_path / "x.bdf", {"Cz": np.zeros(512 * 6)}, words)
    assert event_onsets(path, open_eeg(path), "4") == [1.0, 4.0]
    with pytest.raises(InputError, match="has no event 7") as caught:
        event_onsets(path, open_eeg(path), "7")
    assert "4 (2)" in caught.value.hint
    assert "9 (1)" in caught.value.hint


@pytest.mark.parametrize("code", ["Stimulus/S  4", "S 4", "4"])
def test_event_onsets_annotation_by_any_of_its_names(tmp_path, code):
    info = mne.create_info(["Cz", "STI 014"], 100.0, ["eeg", "stim"])
    data = np.zeros((2, 1000))
    data[1, 300:305] = 12
    raw = mne.io.RawArray(data, info, verbose="error")
    raw.set_annotations(mne.Annotations([2.5, 7.0], 0.0, ["Stimulus/S  4", "New Segment/"]))
    raw.save(tmp_path / "x_raw.fif", verbose="error")
    path = tmp_path / "x_raw.fif"
    assert event_onsets(path, open_eeg(path), code) == [2.5]
    assert event_onsets(path, open_eeg(path), "12") == [3.0]


def test_event_onsets_bdf_reads_triggers_of_16_bits(tmp_path, write_bdf):
    words = np.zeros(512 * 6, np.int64)
    for sample, code in ((512, 4), (1024, 300), (1536, 65535), (2048, 256)):
        words[sample : sample + 10] = code
    words |= 0x180000
    words[::3] |= 0x400000  # the battery bit
    path = write_bdf(tmp_path / "x.bdf", {"Cz": np.zeros(512 * 6)}, words)
    raw = open_eeg(path)
    onsets = {code: event_onsets(path, raw, code) for code in ("4", "300", "65535", "256")}
    assert onsets == {"4": [1.0], "300": [2.0], "65535": [3.0], "256": [4.0]}
    with pytest.raises(InputError, match="has no event 44"):  # 300 in eight bits
        event_onsets(path, raw, "44")


def test_event_onsets_bdf_of_triggers_that_last_until_the_next(tmp_path, write_bdf):
    words = np.zeros(512 * 6, np.int64)
    words[512:1024], words[1024:] = 300, 513
    path = write_bdf(tmp_path / "x.bdf", {"Cz": np.zeros(512 * 6)}, words)
    assert event_onsets(path, open_eeg(path), "300") == [1.0]
    assert event_onsets(path, open_eeg(path), "513") == [2.0]


def test_event_onsets_bdf_ignores_inputs_that_are_not_connected(tmp_path, write_bdf, status_words):
    words = status_words(512 * 6, [(512, 4), (1024, 9)])
    words[:100] &= ~0xFF00  # the receiver was switched on
    path = write_bdf(tmp_path / "x.bdf", {"Cz": np.zeros(512 * 6)}, words)
    assert event_onsets(path, open_eeg(path), "4") == [1.0]
    assert event_onsets(path, open_eeg(path), "9") == [2.0]


@pytest.mark.parametrize("code", [7, 255, 256, 300, 32768, 65535, 70_000])
def test_event_onsets_fif_of_wide_codes_equals_mne(tmp_path, code):
    data = np.zeros((2, 1000))
    data[1, 300:305], data[1, 600:605] = code, 5
    info = mne.create_info(["Cz", "STI 014"], 100.0, ["eeg", "stim"])
    path = tmp_path / "x_raw.fif"
    mne.io.RawArray(data, info, verbose="error").save(path, verbose="error")
    raw = open_eeg(path)
    events = mne.find_events(raw, verbose="error")
    assert events[:, [0, 2]].tolist() == [[300, code], [600, 5]]
    assert event_onsets(path, raw, str(code)) == [3.0]


def test_event_onsets_fif_of_a_code_that_was_stored_with_a_sign(tmp_path):
    data = np.zeros((2, 1000))
    data[1, 300:305] = np.array(40_000, np.uint16).astype(np.int16)
    info = mne.create_info(["Cz", "STI 014"], 100.0, ["eeg", "stim"])
    path = tmp_path / "x_raw.fif"
    mne.io.RawArray(data, info, verbose="error").save(path, verbose="error")
    assert event_onsets(path, open_eeg(path), "40000") == [3.0]


BRAINVISION = ("Stimulus/S  1", "Response/R  1", "Stimulus/S256", "Response/R  9", "Toggle/T  1")


@pytest.mark.parametrize(
    ("code", "onset_s"),
    [
        ("1", 1.0),
        ("S 1", 1.0),
        ("R  1", 2.0),
        ("Response/R  1", 2.0),
        ("256", 3.0),
        ("S256", 3.0),
        ("9", 4.0),
        ("T 1", 5.0),
    ],
)
def test_event_onsets_separates_stimuli_and_responses(code, onset_s):
    raw = mne.io.RawArray(
        np.zeros((1, 1000)), mne.create_info(["Cz"], 100.0, "eeg"), verbose="error"
    )
    raw.set_annotations(mne.Annotations([1.0, 2.0, 3.0, 4.0, 5.0], 0.0, BRAINVISION))
    assert event_onsets(Path("x.vhdr"), raw, code) == [onset_s]


def test_event_onsets_counts_a_trigger_that_is_an_annotation_too_once():
    data = np.zeros((2, 1000))
    data[1, 300:305] = 12
    raw = mne.io.RawArray(
        data, mne.create_info(["Cz", "STI 014"], 100.0, ["eeg", "stim"]), verbose="error"
    )
    raw.set_annotations(mne.Annotations([3.0, 7.0], 0.0, ["12", "12"]))
    assert event_onsets(Path("x.vhdr"), raw, "12") == [3.0, 7.0]


@pytest.mark.parametrize("start_us", [0, 250_000])
@pytest.mark.parametrize("text", ["mark", "\u00dcbung", "12"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("suffix", ["edf", "bdf"])
def test_event_onsets_of_edf_annotations(tmp_path, suffix, encoding, text, start_us):
    write, signal = (
        (edfio.Bdf, edfio.BdfSignal) if suffix == "bdf" else (edfio.Edf, edfio.EdfSignal)
    )
    data = np.zeros(2000)
    data[1250] = 500
    path = tmp_path / f"x.{suffix}"
    write(
        [signal(data, 100, label="Cz", physical_dimension="uV")],
        annotations=[edfio.EdfAnnotation(12.5, None, text)],
        recording=edfio.Recording(startdate=datetime.date(2024, 1, 2)),
        starttime=datetime.time(10, 0, 0, start_us),
    ).write(path)
    plain = text.encode(encoding)
    path.write_bytes(
        path.read_bytes().replace(text.encode(), plain.ljust(len(text.encode()), b"\x14"))
    )
    raw = open_eeg(path)
    assert raw.get_data("Cz")[0].argmax() == 1250
    assert event_onsets(path, raw, text) == [12.5]
    assert event_onsets(path, raw.copy().crop(5.0), text) == [7.5]


@pytest.mark.parametrize("crop_s", [0.0, 4.0])
def test_event_onsets_of_gdf_events(tmp_path, crop_s):
    path = write_gdf(tmp_path / "x.gdf", mark_sample=900, code=770)
    raw = open_eeg(path).crop(crop_s)
    assert raw.get_data("Fz")[0].argmax() == 900 - 100 * crop_s
    assert event_onsets(path, raw, "770") == [9.0 - crop_s]


def test_read_events_durations_are_those_of_annotations():
    info = mne.create_info(["Cz", "STI 014"], 100.0, ["eeg", "stim"])
    data = np.zeros((2, 3000))
    data[1, 100:105] = data[1, 400:405] = 12
    raw = mne.io.RawArray(data, info, verbose="error")
    marks = {"rest": (2.0, 0.0), "12": (4.0, 5.0), "Stimulus/S  1": (9.0, 0.01), "clip": (20.0, 8)}
    onsets, durations = zip(*marks.values(), strict=True)
    raw.set_annotations(mne.Annotations(onsets, durations, list(marks)))
    raw.annotations.append([15.0, 16.0], [1.0, 0.0], ["BAD_muscle", "EDGE boundary"])
    assert read_events(Path("x.vhdr"), raw) == [
        Event("12", 1.0),
        Event("rest", 2.0),
        Event("12", 4.0, 5.0),  # the trigger and the annotation are one event
        Event("Stimulus/S 1", 9.0),  # one sample, as BrainVision writes it
        Event("clip", 20.0, 8.0),
    ]
