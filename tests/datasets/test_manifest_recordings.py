from __future__ import annotations

import pickle
from pathlib import Path

import edfio
import mne
import numpy as np
import pytest
import scipy.io

from helpers import write_numbered_video
from milmer_cli.datasets.manifest_inventory import inventory_manifest
from milmer_cli.datasets.manifest_recordings import ManifestRecordings
from milmer_cli.datasets.manifest_template import manifest_template
from milmer_cli.eeg.channels import GENEVA
from milmer_cli.eeg.preprocess import preprocess_eeg
from milmer_cli.eeg.segment import cut_segments
from milmer_cli.errors import InputError
from milmer_cli.settings.schema import EegSettings

HEADER = "participant,session,trial,stimulus,eeg,eeg_onset_s,video,video_onset_s,duration_s"
SETTINGS = EegSettings(eog_correction="none", bad_channels="keep")


def _save_fif(path, names, sfreq=256.0, seconds=40, seed=0):
    times = np.arange(int(sfreq * seconds)) / sfreq
    phases = 2 * np.pi * np.arange(len(names))[:, None] / len(names)
    data = 10e-6 * np.sin(2 * np.pi * 10 * times + phases)
    data += 1e-6 * np.random.default_rng(seed).normal(size=data.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = mne.io.RawArray(data, mne.create_info(list(names), sfreq, "eeg"), verbose="error")
    raw.save(path, overwrite=True, verbose="error")


def _manifest(folder, rows, header=HEADER + ",valence,arousal"):
    path = folder / "trials.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path):
    _save_fif(tmp_path / "a_raw.fif", GENEVA[:14])
    _save_fif(tmp_path / "b_raw.fif", [name.upper() for name in reversed(GENEVA[:14])], 200.0)
    (tmp_path / "a.avi").write_bytes(b"x")
    return tmp_path


def test_manifest_template_is_valid(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text(manifest_template(), encoding="utf-8")
    with pytest.raises(InputError) as error:
        ManifestRecordings(path)
    assert "there is no eeg file" in error.value.message
    # the template is valid once its files exist
    channels = [*GENEVA, "EXG1", "EXG2", "EXG3", "EXG4"]
    _save_fif(tmp_path / "P01/eeg_raw.fif", channels, 128.0, 250)
    path.write_text(manifest_template().replace("eeg.bdf", "eeg_raw.fif"), encoding="utf-8")
    for name in ("P01/face_joy_03.avi", "P02/face_fear_11.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    recordings = ManifestRecordings(path)
    assert recordings.participants() == ["P01", "P02"]
    assert recordings.channels == GENEVA
    (block,) = recordings.eeg_blocks("P01")
    assert block.eog == (("EXG1", "EXG2"), ("EXG3", "EXG4"))
    assert block.onset_s == {1: 30.0, 2: 142.5}
    (trial,) = recordings.trials("P02")
    assert (trial.has_eeg, trial.video.onset_s, trial.duration_s) == (False, 2.5, 66.0)
    # 35 and 80 on a scale of 0-100
    assert trial.ratings[:2] == pytest.approx((3.8, 7.4))
    assert recordings.trials("P01")[1].stimulus == trial.stimulus


def test_manifest_recordings_accepts_any_channels_rates_and_missing_modalities(files):
    rows = [
        "P2,,1,clip_b,b_raw.fif,5,,,12.5,3,8",
        "P1,,2,clip_a,,,a.avi,1.5,20,5,",
        "P1,,1,clip_b,a_raw.fif,10.25,a.avi,,,9,1",
    ]
    recordings = ManifestRecordings(_manifest(files, rows))
    assert recordings.participants() == ["P1", "P2"]
    one, two = recordings.trials("P1")
    assert (one.trial, one.stimulus, one.duration_s, one.has_eeg) == (1, 2, 29.75, True)
    assert (two.trial, two.stimulus, two.duration_s, two.has_eeg) == (2, 1, 20.0, False)
    assert one.ratings[:2] == (9, 1)
    assert two.ratings[0] == 5
    assert np.isnan(two.ratings[1])
    assert (one.video.path, two.video.onset_s) == (files / "a.avi", 1.5)
    # the order and spelling of the first file holds for all
    channels = recordings.channels
    assert channels == tuple(name.upper() for name in reversed(GENEVA[:14]))
    for name, onset in (("P1", 10.25), ("P2", 5.0)):
        (block,) = recordings.eeg_blocks(name)
        assert dict(block.onset_s) == {1: onset}
        eeg = preprocess_eeg(block, SETTINGS, channels)
        segments = cut_segments(eeg, 1, 12.5, SETTINGS)
        assert segments.shape == (4, 14, 384)
        np.testing.assert_allclose(segments.std(axis=(0, 2)), 10 / np.sqrt(2), rtol=0.05)
    copy = pickle.loads(pickle.dumps(recordings))
    assert copy.trials("P1")[0].stimulus == 2


def test_manifest_recordings_numbers_trials_consecutively_over_sessions(files):
    rows = [
        "P1,b,2,7,a_raw.fif,2,,,6,1,1",
        "P1,b,1,8,a_raw.fif,10,,,6,2,2",
        "P1,a,1,9,b_raw.fif,3,,,6,3,3",
    ]
    recordings = ManifestRecordings(_manifest(files, rows))
    trials = recordings.trials("P1")
    assert [(t.trial, t.session, t.stimulus) for t in trials] == [
        (1, "b", 8),
        (2, "b", 7),
        (3, "a", 9),
    ]
    blocks = [dict(block.onset_s) for block in recordings.eeg_blocks("P1")]
    assert blocks == [{1: 10.0, 2: 2.0}, {3: 3.0}]
    assert any("numbered consecutively" in note for note in recordings.notes())


def test_manifest_recordings_label_instead_of_ratings(files):
    rows = ["P1,,1,1,a_raw.fif,2,,,6,joy", "P1,,2,2,a_raw.fif,9,,,6,fear"]
    trials = ManifestRecordings(_manifest(files, rows, HEADER + ",label")).trials("P1")
    assert [trial.label for trial in trials] == ["joy", "fear"]
    assert all(np.isnan(trial.ratings).all() for trial in trials)


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [("1", "", 1), ("9", "1-9", 9), ("0", "-1-1", 5), ("-1", "-1..1", 1), ("75", "0 to 100", 7)],
)
def test_manifest_recordings_ratings_are_scaled_to_one_to_nine(files, value, scale, expected):
    header = HEADER + ",valence,valence_range"
    path = _manifest(files, [f"P1,,1,1,a_raw.fif,2,,,6,{value},{scale}"], header)
    assert ManifestRecordings(path).trials("P1")[0].ratings[0] == pytest.approx(expected)


def test_manifest_recordings_uses_the_common_electrodes(files):
    _save_fif(files / "c_raw.fif", ["Cz", "T7", *GENEVA[:6], "ECG"])
    rows = ["P1,,1,1,a_raw.fif,2,,,6,1,1", "P2,,1,1,c_raw.fif,2,,,6,1,1"]
    recordings = ManifestRecordings(_manifest(files, rows))
    assert set(recordings.channels) == {*GENEVA[:6], "T7"}
    assert any("Not used" in note and "cz" in note for note in recordings.notes())


EMOTIV = (
    *("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4"),
)


def _save_emotiv(path, with_other_channels):
    """14 electrodes, and counters, contact quality and triggers with large values."""
    rng = np.random.default_rng(7)
    signals = {name: rng.normal(0, 20, 5120) for name in EMOTIV}
    if with_other_channels:
        other = {"COUNTER": np.arange(5120.0) % 129, "GYROX": rng.normal(0, 400, 5120)}
        other |= {f"CQ_{name}": rng.integers(0, 5, 5120) * 50.0 for name in EMOTIV}
        other |= {"TRIGGERS": 255.0 * (np.arange(5120) % 256 < 20), "Resp": signals["AF3"] * 30}
        signals = {"COUNTER": other.pop("COUNTER"), **signals, **other}
    info = mne.create_info(list(signals), 256.0, "eeg")
    raw = mne.io.RawArray(np.array(list(signals.values())) * 1e-6, info, verbose="error")
    raw.save(path, verbose="error")


def test_manifest_recordings_counters_do_not_enter_the_average_reference(tmp_path):
    stored = []
    for name, other in (("clean", False), ("raw", True)):
        folder = tmp_path / name
        folder.mkdir()
        _save_emotiv(folder / "a_raw.fif", other)
        recordings = ManifestRecordings(_manifest(folder, ["P1,,1,1,a_raw.fif,2,,,12,1,1"]))
        assert recordings.channels == EMOTIV
        (block,) = recordings.eeg_blocks("P1")
        stored.append(preprocess_eeg(block, SETTINGS, recordings.channels).data)
    np.testing.assert_allclose(stored[0], stored[1], rtol=0, atol=1e-3)
    notes = " ".join(recordings.notes())
    assert "COUNTER" in notes
    assert "eeg_channels" in notes


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["T3", "T7", "Cz"], r"row 2: .*has 2 channels of one electrode: T3, T7"),
        (["E1", "E2", "E3"], r"row 2: .*no channel whose name is an electrode"),
    ],
)
def test_manifest_recordings_rejects_ambiguous_and_unknown_electrodes(tmp_path, names, message):
    _save_fif(tmp_path / "a_raw.fif", names)
    row = "P1,,1,1,a_raw.fif,2,,,6,1"
    with pytest.raises(InputError, match=message):
        ManifestRecordings(_manifest(tmp_path, [row], HEADER + ",valence"))
    listed = _manifest(tmp_path, [f"{row},{names[1]};{names[2]}"], HEADER + ",valence,eeg_channels")
    recordings = ManifestRecordings(listed)
    assert recordings.channels == tuple(names[1:])
    (block,) = recordings.eeg_blocks("P1")
    assert preprocess_eeg(block, SETTINGS, recordings.channels).channels == tuple(names[1:])


def test_manifest_recordings_matches_spellings_of_an_electrode(tmp_path):
    _save_fif(tmp_path / "a_raw.fif", ["EEG Fp1-Ref", "1-T3", "Cz [uV]"])
    _save_fif(tmp_path / "b_raw.fif", ["CZ", "T7", "FP1"])
    rows = [f"P1,,{n},1,{name}_raw.fif,2,,,6,1,1" for n, name in ((1, "a"), (2, "b"))]
    recordings = ManifestRecordings(_manifest(tmp_path, rows))
    assert recordings.channels == ("Fp1", "T7", "Cz")
    phases = []
    for block in recordings.eeg_blocks("P1"):
        data = preprocess_eeg(block, SETTINGS, recordings.channels).data[:, 1280:3840]
        phases.append(np.angle(data @ np.exp(-2j * np.pi * 10 * np.arange(2560) / 128)))
    # the sinusoid of row n of a file has the phase 2 pi n / 3
    shift = np.exp(1j * (phases[0] - phases[1]))
    np.testing.assert_allclose(
        shift, np.exp(2j * np.pi * (np.arange(3) - np.array([2, 1, 0])) / 3), atol=0.05
    )


def test_manifest_recordings_keeps_the_reference_of_bipolar_channels(tmp_path):
    chain = ["Fp1-F7", "F7-T7", "T7-P7", "P7-O1", "Fp2-F8", "F8-T8", "T8-P8", "P8-O2"]
    _save_fif(tmp_path / "a_raw.fif", chain)
    rows = ["P1,,1,1,a_raw.fif,2,,,6,1,1"]
    recordings = ManifestRecordings(_manifest(tmp_path, rows))
    assert recordings.channels == tuple(chain)
    (block,) = recordings.eeg_blocks("P1")
    result = preprocess_eeg(block, SETTINGS, recordings.channels)
    assert any("bipolar" in note for note in result.notes)


def test_manifest_recordings_openbci_channels_if_listed(tmp_path):
    names = [f"EXG Channel {index}" for index in range(8)]
    _save_fif(tmp_path / "a_raw.fif", ["Sample Index", *names, "Accel Channel 0"])
    row = f"P1,,1,1,a_raw.fif,2,,,6,1,{';'.join(names)}"
    recordings = ManifestRecordings(_manifest(tmp_path, [row], HEADER + ",valence,eeg_channels"))
    (block,) = recordings.eeg_blocks("P1")
    assert block.raw.ch_names == names
    assert preprocess_eeg(block, SETTINGS, recordings.channels).channels == tuple(names)


def test_manifest_recordings_eeg_channels_column(files):
    header = HEADER + ",valence,eeg_channels"
    rows = ["P1,,1,1,a_raw.fif,2,,,6,1,T7;Fp1;AF3", "P2,,1,1,b_raw.fif,2,,,6,1,T7; Fp1;AF3"]
    recordings = ManifestRecordings(_manifest(files, rows, header))
    assert recordings.channels == ("T7", "Fp1", "AF3")
    (block,) = recordings.eeg_blocks("P2")
    assert preprocess_eeg(block, SETTINGS, recordings.channels).channels == ("T7", "Fp1", "AF3")


def test_manifest_recordings_lists_all_errors_with_their_rows(files):
    (files / "broken.edf").write_bytes(b"nothing" * 50)
    rows = [
        "# a comment, which counts as a line",
        "P1,,1,1,a_raw.fif,2,,,6,1,1",
        "P1,,1,1,a_raw.fif,2,,,6,1,1",
        "P 1,,1,1,a_raw.fif,2,,,6,1,1",
        "P1,,two,1,a_raw.fif,2,,,6,1,1",
        "P1,,3,,a_raw.fif,2,,,6,1,1",
        "P1,,4,1,,,,,6,1,1",
        "P1,,5,1,nowhere.bdf,2,nowhere.avi,,6,1,1",
        "P1,,6,1,a_raw.fif,-2,,,0,1,1",
        "P1,,7,1,,,a.avi,,,1,1",
        "P1,,8,1,a_raw.fif,99,,,6,10,one",
        "P1,,9,1,broken.edf,2,,,6,1,1",
        "P1,,10,1,a_raw.fif,2,,,6,1,1,surplus",
    ]
    with pytest.raises(InputError) as error:
        ManifestRecordings(_manifest(files, rows))
    text = error.value.message
    for row, message in [
        (4, "trial 1 of P1 is already in row 3"),
        (5, "participant: expected letters, digits and . _ -, got 'P 1'"),
        (6, "trial: expected 1, 2, 3, ... (at most 2147483647), got 'two'"),
        (7, "stimulus is empty"),
        (8, "eeg and video are both empty"),
        (9, "there is no eeg file"),
        (9, "there is no video file"),
        (10, "eeg_onset_s: expected seconds, 0 or more, got '-2'"),
        (10, "duration_s: expected seconds, more than 0 and at most 86400, got '0'"),
        (11, "duration_s is empty, and there is no EEG file"),
        (12, "eeg_onset_s is 99 s, but"),
        (12, "valence: expected 1 to 9, got 10; valence_range states the scale"),
        (12, "arousal: expected a number, got 'one'"),
        (13, "cannot be read as EEG"),
        (14, "expected at most 11 cells (header), got 12"),
    ]:
        assert any(
            line.strip().startswith(f"row {row}: ") and message in line
            for line in text.splitlines()
        ), (row, message, text)
    assert "row 3" not in [line.strip()[:5] for line in text.splitlines()]
    assert "--manifest-template" in error.value.hint


def test_manifest_recordings_header_errors_come_first(files):
    path = _manifest(files, ["P1"], "participant,trial,stimulu,eeg_file,valence")
    with pytest.raises(InputError) as error:
        ManifestRecordings(path)
    text = error.value.message
    assert "unknown column stimulu; did you mean stimulus?" in text
    assert "column stimulus is missing" in text
    assert "column eeg or video is missing" in text


@pytest.mark.parametrize("content", ["", "# only a comment\n", HEADER + ",label\n"])
def test_manifest_recordings_rejects_an_empty_manifest(tmp_path, content):
    path = tmp_path / "trials.csv"
    path.write_text(content)
    with pytest.raises(InputError, match="the table has no rows"):
        ManifestRecordings(path)


def test_manifest_recordings_rejects_a_missing_or_unreadable_file(tmp_path):
    with pytest.raises(InputError, match="There is no manifest"):
        ManifestRecordings(tmp_path / "none.csv")
    (tmp_path / "trials.csv").write_bytes(b"\xff\xfe\x00tabl")
    with pytest.raises(InputError, match="cannot be read"):
        ManifestRecordings(tmp_path / "trials.csv")


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("2", ["P2"]), ("1-2", ["P1", "P2"]), ("P3,P1", ["P1", "P3"]), ("", ["P1", "P2", "P3"])],
)
def test_manifest_recordings_selects_participants(files, text, chosen):
    rows = [f"P{n},,1,1,a_raw.fif,2,,,6,1,1" for n in (3, 1, 2)]
    assert ManifestRecordings(_manifest(files, rows), text).participants() == chosen
    with pytest.raises(InputError, match="has no participant P4"):
        ManifestRecordings(_manifest(files, rows), "P1,P4")


def test_manifest_recordings_eog_channels_with_dashes(files):
    _save_fif(files / "e_raw.fif", [*GENEVA, "HEOG-L", "HEOG-R"])
    header = HEADER + ",valence,eog"
    row = "P1,,1,1,e_raw.fif,2,,,6,1,"
    recordings = ManifestRecordings(_manifest(files, [row + "heog-l-HEOG-R;Fp1"], header))
    (block,) = recordings.eeg_blocks("P1")
    assert block.eog == (("HEOG-L", "HEOG-R"), ("Fp1",))
    assert set(recordings.channels) == set(GENEVA) - {"Fp1"}
    with pytest.raises(InputError, match=r"row 2: .*lacks the channel VEOG"):
        ManifestRecordings(_manifest(files, [row + "VEOG"], header))


def test_eeg_inputs_are_the_files_of_the_participant(files):
    rows = ["P1,,1,1,a_raw.fif,2,a.avi,,6,1,1", "P1,,2,1,b_raw.fif,2,,,6,1,1"]
    path = _manifest(files, rows)
    inputs = ManifestRecordings(path).eeg_inputs("P1")
    assert inputs.files == (files / "a_raw.fif", files / "b_raw.fif")
    assert inputs.parameters == ("1 a_raw.fif 2.0 ", "2 b_raw.fif 2.0 ")


@pytest.mark.parametrize("suffix", ["edf", "bdf", "vhdr", "set"])
def test_manifest_recordings_formats_give_the_same_microvolts(tmp_path, suffix):
    """One recording, written by hand or by edfio, read through each format."""
    write = {"edf": _write_edf, "bdf": _write_edf, "vhdr": _write_brainvision, "set": _write_set}
    names = list(GENEVA[:14])
    times = np.arange(256 * 20) / 256
    data = 10 * np.sin(2 * np.pi * 10 * times + 2 * np.pi * np.arange(14)[:, None] / 14)
    write[suffix](tmp_path / f"r.{suffix}", names, data)
    row = f"P1,,1,1,r.{suffix},4,,,12,1,1"
    recordings = ManifestRecordings(_manifest(tmp_path, [row]))
    assert recordings.channels == tuple(names)
    (block,) = recordings.eeg_blocks("P1")
    segments = cut_segments(preprocess_eeg(block, SETTINGS, recordings.channels), 1, 12.0, SETTINGS)
    t = 4 + np.arange(12 * 128) / 128
    for row_index in (0, 13):
        expected = 10 * np.sin(2 * np.pi * 10 * t + 2 * np.pi * row_index / 14)
        assert np.abs(np.concatenate(segments[:, row_index]) - expected).max() < 0.15
    assert recordings.eeg_inputs("P1").files[0] == tmp_path / f"r.{suffix}"
    assert len(recordings.eeg_inputs("P1").files) == (2 if suffix == "vhdr" else 1)


def _write_edf(path, names, data):
    kind, signal = (
        (edfio.Bdf, edfio.BdfSignal) if path.suffix == ".bdf" else (edfio.Edf, edfio.EdfSignal)
    )
    signals = [
        signal(row, 256, label=name, physical_dimension="uV", physical_range=(-500, 500))
        for name, row in zip(names, data, strict=True)
    ]
    kind(signals).write(path)


def _write_brainvision(path, names, data):
    lines = [
        "Brain Vision Data Exchange Header File Version 1.0",
        "[Common Infos]",
        "Codepage=UTF-8",
        "DataFile=r.eeg",
        "MarkerFile=r.vmrk",
        "DataFormat=BINARY",
        "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={len(names)}",
        "SamplingInterval=3906.25",
        "[Binary Infos]",
        "BinaryFormat=IEEE_FLOAT_32",
        "[Channel Infos]",
        *(f"Ch{n}={name},,1,µV" for n, name in enumerate(names, start=1)),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    markers = ["Brain Vision Data Exchange Marker File, Version 1.0", "[Common Infos]"]
    markers += ["Codepage=UTF-8", "DataFile=r.eeg", "[Marker Infos]", "Mk1=New Segment,,1,1,0"]
    path.with_suffix(".vmrk").write_text("\n".join(markers) + "\n", encoding="utf-8")
    path.with_suffix(".eeg").write_bytes(data.T.astype("<f4").tobytes())


def _write_set(path, names, data):
    places = np.array([(name, 0.0) for name in names], dtype=[("labels", "O"), ("theta", "O")])
    eeg = {
        "data": data,
        "srate": 256.0,
        "nbchan": len(names),
        "trials": 1,
        "pnts": data.shape[1],
        "xmin": 0.0,
        "xmax": (data.shape[1] - 1) / 256,
        "chanlocs": places,
        "event": [],
        "urevent": [],
        "epoch": [],
    }
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False)


def test_manifest_recordings_leaves_out_only_the_participant_of_a_damaged_file(files):
    (files / "broken.edf").write_bytes(b"nothing" * 50)
    rows = ["P1,,1,1,a_raw.fif,2,,,6,1,1", "P2,,1,1,broken.edf,2,,,6,1,1"]
    recordings = ManifestRecordings(_manifest(files, rows))
    assert recordings.participants() == ["P1", "P2"]
    assert recordings.channels == GENEVA[:14]
    assert len(recordings.trials("P1")) == 1
    with pytest.raises(InputError, match=r"broken\.edf cannot be read as EEG") as caught:
        recordings.trials("P2")
    assert caught.value.hint
    first, second = inventory_manifest(recordings)
    assert len(first.usable) == 1
    assert second.usable == ()
    (missing,) = second.missing
    assert "broken.edf cannot be read as EEG" in missing.why
    assert missing.fix == caught.value.hint


def test_manifest_recordings_keeps_the_hints_of_eeg_errors(files):
    rows = ["P1,,1,1,a_raw.fif,2,,,6,1,1,Fp1;Cz9"]
    with pytest.raises(InputError, match=r"lacks the channel Cz9\. Its channels: Fp1, AF3"):
        ManifestRecordings(_manifest(files, rows, HEADER + ",valence,arousal,eeg_channels"))


def test_manifest_recordings_limits_a_duration_to_that_of_the_files(files):
    write_numbered_video(files / "v.mp4")  # 3 s
    rows = [
        "P1,,1,1,,,v.mp4,,50000,1,1",
        "P1,,2,1,,,v.mp4,1,50000,1,1",
        "P1,,3,1,a_raw.fif,10,v.mp4,,50000,1,1",
        "P1,,4,1,a_raw.fif,10,v.mp4,,25,1,1",
        "P1,,5,1,,,a.avi,,6,1,1",
    ]
    recordings = ManifestRecordings(_manifest(files, rows))
    durations = [trial.duration_s for trial in recordings.trials("P1")]
    assert durations == pytest.approx([3, 2, 30, 25, 6], abs=0.05)
    reduced = [note for note in recordings.notes() if "instead of after 50000 s" in note]
    assert [note.partition(":")[0] for note in reduced] == ["Row 2", "Row 3", "Row 4"]


def test_manifest_recordings_notes_a_video_that_ends_before_the_trial(files):
    write_numbered_video(files / "v.mp4")  # 3 s
    rows = ["P1,,1,1,a_raw.fif,2,v.mp4,0.5,6,1,1", "P1,,2,1,a_raw.fif,12,v.mp4,0.4,3,1,1"]
    notes = ManifestRecordings(_manifest(files, rows)).notes()
    assert "The video ends before the trial in row 2 (3.5 s): the rest has no faces." in notes


def test_manifest_recordings_video_that_starts_after_the_trial(files):
    write_numbered_video(files / "v.mp4")  # 3 s
    rows = [
        "P1,,1,1,a_raw.fif,2,v.mp4,-0.75,3,1,1",
        "P1,,2,1,a_raw.fif,12,v.mp4,-0.1,3,1,1",
        "P1,,3,1,,,v.mp4,-2,50000,1,1",
    ]
    recordings = ManifestRecordings(_manifest(files, rows))
    trials = recordings.trials("P1")
    assert [trial.video.onset_s for trial in trials] == [-0.75, -0.1, -2.0]
    assert trials[2].duration_s == pytest.approx(5.0)  # up to the end of the video
    note = "The video starts after the trial in rows 2 (0.8 s), 4 (2.0 s): the time before has no"
    assert any(note in text for text in recordings.notes())


def test_manifest_recordings_rejects_a_video_after_the_end_of_the_trial(files):
    write_numbered_video(files / "v.mp4")
    path = _manifest(files, ["P1,,1,1,a_raw.fif,2,v.mp4,-3,3,1,1"])
    with pytest.raises(InputError, match="row 2: video_onset_s is -3 s, but the trial ends 3 s"):
        ManifestRecordings(path)


def test_manifest_recordings_rejects_times_beyond_the_files(files):
    write_numbered_video(files / "v.mp4")
    rows = ["P1,,1,1,,,v.mp4,4,1,1,1", "P1,,2,1,a_raw.fif,41,,,1,1,1", "P1,,3,1,,,v.mp4,,1e5,1,1"]
    with pytest.raises(InputError, match="has 3 errors") as caught:
        ManifestRecordings(_manifest(files, rows))
    for text in (
        f"row 2: video_onset_s is 4 s, but {files / 'v.mp4'} lasts 3 s",
        "row 3: eeg_onset_s is 41 s, but",
        "row 4: duration_s: expected seconds, more than 0 and at most 86400, got '1e5'",
    ):
        assert text in caught.value.message


@pytest.mark.parametrize("trial", ["3000000000", "1_0", "\u0661", "1e3", "inf", "-1"])
def test_manifest_recordings_rejects_other_spellings_of_trials(files, trial):
    with pytest.raises(InputError, match=r"row 2: trial: expected 1, 2, 3"):
        ManifestRecordings(_manifest(files, [f"P1,,{trial},1,a_raw.fif,2,,,6,1,1"]))


def test_manifest_recordings_names_the_manifest_as_it_was_given(files, monkeypatch):
    path = _manifest(files, ["P1,,0,1,a_raw.fif,2,,,6,1,1"])
    monkeypatch.chdir(files)
    with pytest.raises(InputError, match=r"^trials\.csv has 1 error:"):
        ManifestRecordings(Path(path.name))


def test_manifest_recordings_reads_a_manifest_of_excel(files):
    path = _manifest(files, ["7.0,1.0,1.0,2.0,a_raw.fif,NA,,nan,6,1,1"])
    text = path.read_text().replace(",", "\t").replace("\t6\t", "\t5,5\t")
    path.write_text(text, encoding="utf-16")
    (trial,) = ManifestRecordings(path).trials("7")
    assert (trial.trial, trial.stimulus, trial.session, trial.duration_s) == (1, 2, "1", 5.5)
    assert trial.video is None


def test_manifest_recordings_rejects_trials_with_the_same_part_of_a_video(files):
    rows = [
        "P1,,1,1,a_raw.fif,2,a.avi,,6,1,1",
        "P1,,2,2,a_raw.fif,9,a.avi,,6,1,1",
        "P1,,3,3,a_raw.fif,20,a.avi,12,6,1,1",
    ]
    message = r"has 1 error:\n  row 3: video_onset_s is empty, as in row 2 with the same video"
    with pytest.raises(InputError, match=message):
        ManifestRecordings(_manifest(files, rows))


MARKED = HEADER + ",valence,arousal,eeg_bads,line_freq_hz"


def test_manifest_recordings_marks_bad_channels_and_the_line_frequency(files):
    rows = ["P1,,1,a,a_raw.fif,5,,,10,3,8,F3;c3,60", "P1,,2,a,a_raw.fif,20,,,10,3,8,F3;c3,60"]
    recordings = ManifestRecordings(_manifest(files, rows, MARKED))
    (block,) = recordings.eeg_blocks("P1")
    assert sorted(block.raw.info["bads"]) == ["C3", "F3"]
    assert block.raw.info["line_freq"] == 60.0
    other = [row.replace("F3;c3,60", "F3,60") for row in rows]
    inputs = [
        ManifestRecordings(_manifest(files, own, MARKED)).eeg_inputs("P1") for own in (rows, other)
    ]
    assert inputs[0].parameters != inputs[1].parameters


def test_manifest_recordings_rejects_wrong_marks(files):
    rows = ["P1,,1,a,a_raw.fif,5,,,10,3,8,F3,60", "P1,,2,a,a_raw.fif,20,,,10,3,8,F4,3000"]
    with pytest.raises(InputError) as error:
        ManifestRecordings(_manifest(files, rows, MARKED))
    assert "eeg_bads differs from row 2" in error.value.message
    assert "line_freq_hz: expected 1 to 1000 Hz, got '3000'" in error.value.message
    recordings = ManifestRecordings(_manifest(files, [rows[0].replace("F3", "F99")], MARKED))
    with pytest.raises(InputError, match="lacks the channel F99"):
        recordings.trials("P1")
