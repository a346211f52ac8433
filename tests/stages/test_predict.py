"""predict: what a person tries first, with the files that people have."""

from __future__ import annotations

import csv
import json
import shutil
import threading
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from milmer_cli import load_model
from milmer_cli.errors import InputError
from milmer_cli.recordings.channels import GENEVA
from milmer_cli.settings import load_settings
from milmer_cli.stages.predict import predict
from milmer_cli.stages.predicting.film import _rate
from milmer_cli.stages.predicting.outcome import side
from milmer_cli.stages.predicting.painter import Painter
from milmer_cli.stages.predicting.signals import SignalReader, open_recording
from milmer_cli.stages.predicting.stream import read_ahead
from milmer_cli.training.runfolder import Run

SETTINGS = load_settings(overrides=["run.device=cpu"])


class Listener:
    def __init__(self, on_advance=lambda: None):
        self.notes = []
        self._on_advance = on_advance

    def start(self, task, total=None, unit=""): ...
    def done(self, task): ...

    def advance(self, task, by=1.0):
        self._on_advance()

    def note(self, message, level="info"):
        self.notes.append((level, message))

    @property
    def text(self):
        return "\n".join(message for _, message in self.notes)


@pytest.fixture(scope="session")
def files(made_once, write_video, write_edf, brain):
    def make(folder):
        folder.mkdir()
        write_video(folder / "face.mp4", 9.0, sound="aac")
        write_edf(folder / "cap.edf", GENEVA, brain(12.0))

    return made_once("predict-files", make)


@pytest.fixture(scope="module")
def model(run):
    return load_model(run)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_prediction_leaves_a_table_a_document_and_a_page(tmp_path, files, run):
    out, seen = tmp_path / "out", []
    listener = Listener(lambda: seen.append(len(rows_of(out / "timeline.csv"))))
    result = predict(files / "face.mp4", files / "cap.edf", run, out, SETTINGS, progress=listener)
    assert seen == [1, 2, 3], "a row is on disk as soon as its segment is known"
    rows = rows_of(out / "timeline.csv")
    assert [float(row["onset_s"]) for row in rows] == [0, 3, 6]
    for row, segment in zip(rows, result.segments, strict=True):
        told = [float(row[f"p_{name}"]) for name in ("HAHV", "LAHV", "LALV", "HALV")]
        np.testing.assert_allclose(told, segment.probabilities, atol=1e-6)
        assert row["class"] == result.class_names[int(np.argmax(told))]
        assert float(row["confidence"]) == pytest.approx(max(told), abs=1e-6)
        assert row["faces_found"] == "3"
        assert row["channels_interpolated"] == "0"
        assert (row["valence"], row["arousal"]) == segment.sides
        assert len(row["chosen_instances"].split()) == 2
    assert "The EEG lasts 12.0 s from its onset and the video 9.0 s" in listener.text
    assert listener.text.count("No channel shows the eyes") == 1
    assert sum("No channel shows the eyes" in note for note in result.notes) == 1
    document = json.loads((out / "timeline.json").read_text())
    assert document == json.loads(json.dumps(result.to_json()))
    assert document["timing"] == {
        "duration_s": 9.0,
        "video_onset_s": 0.0,
        "video_onset_found_by": "start",
        "eeg_onset_s": 0.0,
        "eeg_onset_found_by": "start",
    }
    assert sum(document["eeg_attention"].values()) > 0
    assert list(document["eeg_attention"]) == list(GENEVA)
    page = (out / "report.html").read_text()
    for text in ("41.7 %", "temperature 1.37", "Where on the head", "Faces the model chose"):
        assert text in page
    assert page.count("data:image/jpeg") == 6
    labels = dict(result.summary())
    assert labels["model tested"] == "trial protocol: accuracy 41.7 %"


def test_a_folder_never_holds_parts_of_two_predictions(tmp_path, monkeypatch, files, model):
    out = tmp_path / "out"
    model.predict(eeg=files / "cap.edf", out=out)
    assert {path.name for path in out.iterdir()} == {
        *("timeline.csv", "timeline.json", "report.html")
    }
    with pytest.raises(InputError, match="There is no EEG file"):
        model.predict(eeg=files / "gone.edf", out=out)
    assert len(list(out.iterdir())) == 3, "what cannot begin leaves what is there"

    before = {path.name: path.read_bytes() for path in out.iterdir()}
    take = SignalReader.take

    def fails(*_):
        raise InputError("the file ends here")

    monkeypatch.setattr(SignalReader, "take", fails)
    for folder in (out, tmp_path / "new"):
        with pytest.raises(InputError, match="ends here"):
            model.predict(eeg=files / "cap.edf", out=folder)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert not (tmp_path / "new").exists()

    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(SignalReader, "take", take)
    with pytest.raises(KeyboardInterrupt):
        model.predict(eeg=files / "cap.edf", out=out, progress=Listener(on_advance=stop))
    assert [path.name for path in out.iterdir()] == ["timeline.csv"]
    assert len(rows_of(out / "timeline.csv")) == 1, "a stopped one leaves the rows it has"


def test_a_folder_of_something_else_is_refused(tmp_path, files, model):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "report.html").write_text("my thesis")
    (mine / "timeline.csv").write_text("year,event\n")
    for folder in (mine, model.run.path):
        before = sorted(path.name for path in folder.iterdir())
        with pytest.raises(InputError, match="holds something else than a prediction"):
            model.predict(eeg=files / "cap.edf", out=folder)
        assert sorted(path.name for path in folder.iterdir()) == before
    assert (mine / "report.html").read_text() == "my thesis"


@pytest.mark.parametrize(
    ("label", "sides"),
    [
        ("HAHV", ("high", "high")),
        ("LAHV", ("high", "low")),
        ("LALV", ("low", "low")),
        ("HALV", ("low", "high")),
        ("low valence", ("low", "")),
        ("high arousal", ("", "high")),
        ("amused", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_class_lies_on_its_sides(label, sides):
    assert (side(label, "valence", "V"), side(label, "arousal", "A")) == sides


def test_from_python_nothing_is_written(tmp_path, monkeypatch, files, model):
    monkeypatch.chdir(tmp_path)
    result = model.predict(str(files / "face.mp4"), files / "cap.edf", duration_s=6)
    assert result.probabilities.shape == (2, 4)
    np.testing.assert_allclose(result.probabilities.sum(axis=1), 1)
    assert not list(tmp_path.iterdir())


def test_names_order_and_unit_of_the_channels_do_not_matter(
    tmp_path, files, model, write_edf, brain
):
    old = {"T7": "T3", "T8": "T4", "P7": "T5", "P8": "T6"}
    names = [f"EEG {old.get(name, name).upper()}-REF" for name in GENEVA]
    mixed = np.random.default_rng(1).permutation(len(names))
    signals = np.vstack([brain(12.0)[mixed], brain(12.0, seed=9)[:1]])
    labels = [*(names[k] for k in mixed), "EEG Fpz-REF"]
    path = write_edf(tmp_path / "clinic.edf", labels, signals, unit="mV", scale=1e-3)
    listener = Listener()
    plain = model.predict(eeg=files / "cap.edf")
    other = model.predict(eeg=path, progress=listener)
    np.testing.assert_allclose(other.probabilities, plain.probabilities, atol=2e-3)
    assert "EEG T3-REF for T7" in listener.text
    assert "left out: EEG Fpz-REF" in listener.text
    assert not any(segment.interpolated for segment in other.segments)


@pytest.mark.parametrize(
    ("cleaned", "said"),
    [([], ""), (["s01", "s02"], "on DEAP's preprocessed EEG"), (["s02"], "on 1 of 2 of DEAP's")],
)
def test_a_model_of_preprocessed_eeg_says_that_a_raw_recording_differs(
    tmp_path, files, run_folder, cleaned, said
):
    trained = run_folder(tmp_path / "run")
    about = json.loads((trained / "environment.json").read_text())
    about["store"] |= {"participants": ["s01", "s02"], "cleaned": cleaned}
    (trained / "environment.json").write_text(json.dumps(about))
    result = load_model(trained).predict(eeg=files / "cap.edf")
    notes = [note for note in result.notes if "preprocessed" in note]
    assert len(notes) == bool(said)
    assert all(said in note and "4 to 45 Hz" in note and "1 to 50 Hz" in note for note in notes)


def test_a_few_missing_channels_are_made_and_told_many_are_refused(
    tmp_path, model, write_edf, brain
):
    signals = brain(9.0)
    path = write_edf(tmp_path / "few.edf", GENEVA[3:], signals[3:])
    listener = Listener()
    result = model.predict(eeg=path, progress=listener)
    assert "interpolated from their neighbours: Fp1, AF3, F3" in listener.text
    assert {segment.interpolated for segment in result.segments} == {3}
    assert all("eeg_interpolated" in segment.flags for segment in result.segments)
    assert listener.notes.index(("info", next(m for _, m in listener.notes if "Fp1" in m))) == 0
    half = [0, 3, 4, 6, 8, 10, 12, 15, 16, 19, 21, 24, 27, 29, 30, 31]
    path = write_edf(tmp_path / "half.edf", [GENEVA[k] for k in half], signals[half])
    lenient = load_settings(overrides=["run.device=cpu", "predict.max_bad_channels=0.5"])
    wide = predict(None, path, model.run.path, tmp_path / "wide", lenient)
    assert {segment.interpolated for segment in wide.segments} == {16}
    assert not wide.abstained.any()
    many = write_edf(tmp_path / "many.edf", GENEVA[9:], signals[9:])
    with pytest.raises(InputError, match="lacks 9 of the 32 channels") as caught:
        model.predict(eeg=many)
    assert "--no-eeg" in caught.value.hint


def test_a_stimulus_starts_at_an_event(tmp_path, model, brain):
    import mne

    info = mne.create_info(list(GENEVA), 128.0, "eeg")
    raw = mne.io.RawArray(brain(20.0) * 1e-6, info, verbose="error")
    raw.set_annotations(mne.Annotations([2.0, 9.0], 0.0, ["clip", "clip"]))
    path = tmp_path / "x_raw.fif"
    raw.save(path, verbose="error")
    with pytest.raises(InputError, match="has the event clip 2 times") as caught:
        model.predict(eeg=path, eeg_event="clip")
    assert "--trial 1 to --trial 2" in caught.value.hint
    marked = model.predict(eeg=path, eeg_event="clip", trial=2)
    asked = model.predict(eeg=path, eeg_onset_s=9.0)
    np.testing.assert_array_equal(marked.probabilities, asked.probabilities)
    assert len(marked.segments) == 3


def test_one_modality_alone_says_how_far_to_trust_it(tmp_path, files, model, run_folder):
    listener = Listener()
    result = model.predict(eeg=files / "cap.edf", progress=listener)
    assert result.trust == "with EEG alone: trial protocol: accuracy 31.3 %"
    assert ("warning", result.notes[0]) in listener.notes
    assert "31.3 %" in result.notes[0]
    bare = run_folder(tmp_path / "bare", "model.modality_dropout=0")
    result = predict(files / "face.mp4", None, bare, tmp_path / "out", SETTINGS)
    assert "without modality dropout" in result.notes[0]
    assert "never tested" in result.trust
    assert rows_of(tmp_path / "out" / "timeline.csv")[0]["channels_interpolated"] == ""


def test_a_model_of_one_modality_leaves_the_other_out(tmp_path, files, run_folder):
    only = load_model(run_folder(tmp_path / "eeg", "model.modalities=eeg"))
    listener = Listener()
    both = only.predict(files / "face.mp4", files / "cap.edf", duration_s=9, progress=listener)
    assert "the video is not read" in listener.text
    assert both.segments[0].faces is None
    assert both.trust == "trial protocol: accuracy 41.7 %"
    with pytest.raises(InputError, match="sees EEG only"):
        only.predict(files / "face.mp4")
    with pytest.raises(InputError, match="--video-out draws on the video, and none is read"):
        only.predict(files / "face.mp4", files / "cap.edf", video_out=tmp_path / "x.mp4")
    with pytest.raises(InputError, match="only one of them is read"):
        only.predict(files / "face.mp4", files / "cap.edf", align_check=True)


def test_what_is_too_poor_abstains(tmp_path, model, write_video, write_edf, brain):
    gone = write_video(tmp_path / "gone.mp4", 9.0, here=lambda t: not 3 <= t < 6)
    result = model.predict(gone)
    assert [segment.faces for segment in result.segments] == [3, 0, 3]
    assert result.abstained.tolist() == [False, True, False]
    assert result.segments[1].flags == ("no_face", "abstained")
    np.testing.assert_allclose(result.mean, result.probabilities[[0, 2]].mean(axis=0))

    signals = brain(12.0)
    signals[4:16, 500:520] += 3000  # in the second segment twelve electrodes jump
    eeg = write_edf(tmp_path / "jump.edf", GENEVA, signals)
    flags = [segment.flags for segment in model.predict(gone, eeg).segments]
    assert "abstained" not in flags[0]
    assert flags[1][-1] == "abstained"
    assert "eeg_artefact" in flags[1]
    with_eeg = write_edf(tmp_path / "fine.edf", GENEVA, brain(12.0))
    assert model.predict(gone, with_eeg).segments[1].flags == ("no_face",)

    unsure = load_settings(overrides=["run.device=cpu", "predict.min_confidence=0.99"])
    silent = predict(gone, None, model.run.path, tmp_path / "silent", unsure)
    assert silent.mean is None
    assert "abstained on every segment" in (tmp_path / "silent" / "report.html").read_text()


def test_a_modality_that_is_there_and_useless_is_told_and_not_trusted(
    tmp_path, model, write_video, write_edf, brain
):
    nobody = write_video(tmp_path / "nobody.mp4", 3.0, here=lambda t: False)
    signals = brain(6.0)
    eeg = write_edf(tmp_path / "fine.edf", GENEVA, signals)
    listener = Listener()
    result = model.predict(nobody, eeg, out=tmp_path / "out", progress=listener)
    assert result.trust == "with EEG alone: trial protocol: accuracy 31.3 %"
    assert "found nowhere in the video" in result.notes[0]
    assert ("warning", result.notes[0]) in listener.notes
    document = json.loads((tmp_path / "out" / "timeline.json").read_text())
    assert document["trust"] == result.trust
    assert document["notes"][0] == result.notes[0]

    signals[4:16, 100:120] += 3000
    wild = write_edf(tmp_path / "wild.edf", GENEVA, signals)
    listener = Listener()
    result = model.predict(write_video(tmp_path / "v.mp4", 3.0), wild, progress=listener)
    assert result.trust.startswith("with video alone")
    assert "No segment has EEG good enough" in result.notes[0]
    assert ("warning", result.notes[0]) in listener.notes


def test_what_cleaning_finds_is_said_before_the_result(tmp_path, model, write_edf, brain):
    signals = brain(6.0)
    signals[5] = 0
    listener = Listener()
    result = model.predict(eeg=write_edf(tmp_path / "flat.edf", GENEVA, signals), progress=listener)
    [told] = [note for note in result.notes if note.startswith("Interpolated")]
    assert GENEVA[5] in told
    assert ("info", told) in listener.notes


def test_dead_channels_are_seen_though_the_reference_moves_them(tmp_path, model, write_edf, brain):
    signals = brain(12.0)
    signals[:20] = 0
    dead = model.predict(eeg=write_edf(tmp_path / "dead.edf", GENEVA, signals))
    assert dead.abstained.all()
    assert {segment.eeg_good for segment in dead.segments} == {12 / 32}
    assert any("20 of 32 channels are bad and were kept: Fp1 (flat" in note for note in dead.notes)

    signals = brain(15.0)
    signals[:9, 10 * 128 :] = signals[:9, 10 * 128 : 10 * 128 + 1]  # nine come off in the end
    late = model.predict(eeg=write_edf(tmp_path / "late.edf", GENEVA, signals))
    assert late.segments[0].eeg_good == 1
    assert late.segments[4].eeg_good == 23 / 32
    assert late.segments[4].flags == ("eeg_artefact", "abstained")

    signals = brain(12.0)
    signals[:2] = 0
    mended = model.predict(eeg=write_edf(tmp_path / "two.edf", GENEVA, signals))
    assert {segment.interpolated for segment in mended.segments} == {2}
    assert not mended.abstained.any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("cap.edf", "face.mp4"),
            "is an EEG recording and .*face.mp4 a video: the two are swapped",
        ),
        (("song.mp3", "cap.edf"), "holds only sound"),
        (("face.mp4", "face.mp4"), "cannot be read as EEG"),
        (("face.mp4", "gone.edf"), "There is no EEG file"),
    ],
)
def test_a_wrong_file_is_one_helpful_sentence(tmp_path, files, model, names, message):
    with av.open(str(tmp_path / "song.mp3"), "w") as container:
        track = container.add_stream("mp3", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.rate = 44100
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    paths = [tmp_path / name if name == "song.mp3" else files / name for name in names]
    with pytest.raises(InputError, match=message):
        model.predict(*paths)


@pytest.mark.parametrize(
    ("scale", "words"),
    [(1e-6, "volts under a header that says microvolts"), (3e4, "converter .ADC.")],
)
def test_an_impossible_unit_is_named(tmp_path, model, write_edf, brain, scale, words):
    path = write_edf(tmp_path / "x.edf", GENEVA, brain(9.0), scale=scale)
    with pytest.raises(InputError, match=words):
        model.predict(eeg=path)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (1e-2, "millivolts under a header that says microvolts, or hardly anything was connected"),
        (20, "counts of the recorder's converter (ADC), or it is nearly all artefact"),
    ],
)
def test_an_unlikely_unit_is_warned_of(tmp_path, model, write_edf, brain, scale, words):
    path = write_edf(tmp_path / "x.edf", GENEVA, brain(9.0), scale=scale)
    listener = Listener()
    result = model.predict(eeg=path, progress=listener)
    [warning] = [text for level, text in listener.notes if level == "warning" and "EEG is" in text]
    assert words in warning
    assert warning == result.notes[0]


def test_most_segments_being_artefact_is_warned_of(tmp_path, model, write_edf, brain):
    signals = brain(12.0)
    signals[::2, ::64] += 3000
    listener = Listener()
    model.predict(eeg=write_edf(tmp_path / "x.edf", GENEVA, signals), progress=listener)
    assert "In 4 of 4 segments more than 25% of the channels" in listener.text


def test_files_that_are_cut_short_are_warned_of(tmp_path, model, write_video, write_edf, brain):
    random = np.random.default_rng(0)

    def noisy(frame, t):  # as many bytes for each frame
        frame[300:] = random.integers(0, 255, (20, 400, 3))

    video = write_video(tmp_path / "v.mkv", 9.0, touch=noisy)
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 6 // 10])
    eeg = write_edf(tmp_path / "e.edf", GENEVA, brain(12.0))
    eeg.write_bytes(eeg.read_bytes()[: 256 * 33 + 9 * 32 * 128 * 2])
    listener = Listener()
    result = model.predict(video, eeg, progress=listener)
    assert "promises 12 data records and it holds 9, so the last 25%" in listener.text
    assert "of 3 segments, from 3 s on, the video should have pictures" in listener.text
    assert ["video_lost" in segment.flags for segment in result.segments] == [False, True, True]


def test_onsets_past_the_end_and_impossible_numbers_are_refused(files, model):
    video, eeg = files / "face.mp4", files / "cap.edf"
    with pytest.raises(InputError, match="ends before --video-onset 20 s"):
        model.predict(video, eeg, video_onset_s=20)
    with pytest.raises(InputError, match="lies before the start"):
        model.predict(video, eeg, eeg_onset_s=-1)
    with pytest.raises(InputError, match="no BDF file"):
        model.predict(video, eeg, trial=2)
    with pytest.raises(InputError, match="Neither"):
        model.predict()


def test_a_long_recording_is_cleaned_in_pieces_to_the_same_signal(
    tmp_path, monkeypatch, run, write_edf, brain
):
    path = write_edf(tmp_path / "long.edf", GENEVA, brain(240.0))
    trained = Run.open(run)
    onsets = np.arange(70) * 3.0

    def read(counts):
        recording = open_recording(path, trained, SETTINGS.predict)
        reader = SignalReader(
            recording, 4.5, onsets, trained.settings.eeg, SETTINGS.predict, whole=False
        )
        parts = [reader.take(count).data for count in counts]
        return np.concatenate(parts), reader

    whole, _ = read([70])
    for name, value in (("WHOLE_S", 100.0), ("PIECE_S", 60.0), ("MARGIN_S", 15.0)):
        monkeypatch.setattr(f"milmer_cli.stages.predicting.signals.{name}", value)
    pieces, reader = read([7] * 10)
    assert pieces.shape == whole.shape == (70, 32, 384)
    assert np.abs(pieces - whole).max() < 0.01 * whole.std()
    assert any("in pieces" in note for note in reader.notes)


def test_the_annotated_video_keeps_its_length_and_its_sound(tmp_path, files, model):
    path = tmp_path / "new" / "said.mp4"
    result = model.predict(files / "face.mp4", video_out=path, video_onset_s=1.5, duration_s=6)
    with av.open(str(path)) as container:
        shown, heard = container.streams.video[0], container.streams.audio[0]
        assert shown.frames == 60
        assert shown.width == 400
        assert shown.height > 320
        assert float(heard.duration * heard.time_base) == pytest.approx(6.0, abs=0.2)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    left, top, right, _ = result.segments[1].box[0].round().astype(int)
    edge = frames[31][top - 1 : top + 2, left + 30 : right - 30].mean(axis=(0, 1))
    plain = frames[31][top + 20 : top + 23, left + 30 : right - 30].mean(axis=(0, 1))
    assert np.abs(edge - plain).max() > 15, "the face has a box"
    assert frames[31][325:].std() > 20, "the band below says something"
    assert [p.name for p in path.parent.iterdir()] == ["said.mp4"]


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])  # copied; no sound for an mp4: coded anew
def test_the_sound_of_the_annotated_video_is_in_step(tmp_path, model, write_video, codec):
    video = write_video(tmp_path / "tone.mkv", 9.0, sound=codec)  # silent for the first 4.5 s
    path = tmp_path / "said.mp4"
    model.predict(video, video_out=path, video_onset_s=1.5, duration_s=6)
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        heard = [(frame.time, frame.to_ndarray()) for frame in container.decode(audio=0)]
    loud = [time for time, sound in heard if np.abs(sound).max() > 0.3]
    assert min(loud) == pytest.approx(3.0, abs=0.2)
    assert max(loud) == pytest.approx(6.0, abs=0.3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("face.mp4", "is the very file that is read"),
        ("link.mp4", "is the very file that is read"),
        ("said.webm", "names no container"),
        ("cap.edf/said.mp4", "--video-out .*said.mp4 cannot be written"),
    ],
)
def test_a_video_that_must_not_be_written_is_refused_first(tmp_path, files, model, name, message):
    video = shutil.copy(files / "face.mp4", tmp_path)
    (tmp_path / "link.mp4").symlink_to("face.mp4")
    eeg = shutil.copy(files / "cap.edf", tmp_path)
    before = Path(video).read_bytes()
    with pytest.raises(InputError, match=message):
        model.predict(video, eeg, video_out=tmp_path / name, out=tmp_path / "out")
    assert Path(video).read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_an_interrupted_video_leaves_nothing(tmp_path, monkeypatch, files, model):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("milmer_cli.stages.predicting.film.Painter.paint", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.predict(files / "face.mp4", video_out=tmp_path / "said.mp4", duration_s=3)
    assert not list(tmp_path.iterdir())


def test_an_annotated_video_has_the_rate_of_its_frames_not_of_its_clock(files):
    declared = SimpleNamespace(path=files / "face.mp4", fps=1000.0)
    assert float(_rate(declared)) == pytest.approx(10, abs=0.1)
    assert _rate(SimpleNamespace(path=None, fps=29.97)) == Fraction(2997, 100)


def test_long_names_stay_beside_their_bars_on_a_narrow_picture():
    classes = ("low valence", "high valence")
    segment = SimpleNamespace(
        label=classes[0], abstained=False, confidence=0.7, probabilities=np.array([0.7, 0.3])
    )
    segment.onset_s, segment.box = 0.0, None
    result = SimpleNamespace(
        class_names=classes, onset=np.zeros(1), segments=[segment], segment_s=3
    )
    said = Painter(result, (180, 640)).paint(np.zeros((640, 180, 3), np.uint8), 1.0)
    names, begin = slice(640 + 15, None), round(0.16 * 180)  # below the headline
    assert (said[names, begin - 1] == 255).all()
    assert (said[names, begin + 1] != 255).any()


def test_a_wrong_offset_shows_in_the_blinks(tmp_path, model, write_video, write_edf, brain):
    blinks = np.sort(np.random.default_rng(4).uniform(1, 28, 14))

    def shut(frame, t):
        if np.any((t >= blinks) & (t < blinks + 0.16)):
            frame[113:131, 155:232] = frame[136:137, 155:232]  # lids

    video = write_video(tmp_path / "blinking.mp4", 30.0, fps=25, touch=shut)
    times = np.arange(40 * 128) / 128
    pulses = sum(150 * np.exp(-(((times - at - 2.6) / 0.07) ** 2)) for at in blinks)
    signals = np.vstack([brain(40.0), pulses + np.random.default_rng(0).normal(0, 5, len(times))])
    signals[[GENEVA.index("Fp1"), GENEVA.index("Fp2")]] += 0.6 * pulses
    eeg = write_edf(tmp_path / "x.edf", [*GENEVA, "VEOG"], signals)
    listener = Listener()
    out = tmp_path / "out"
    model.predict(video, eeg, eeg_onset_s=2.0, out=out, align_check=True, progress=listener)
    [told] = [message for _, message in listener.notes if "Blinks" in message]
    assert "later in the EEG" in told
    assert "--eeg-onset 2.5" in told or "--eeg-onset 2.6" in told
    assert (out / "align-check.png").stat().st_size > 10_000
    assert "Do video and EEG run together?" in (out / "report.html").read_text()
    listener = Listener()
    model.predict(video, eeg, eeg_onset_s=2.55, align_check=True, progress=listener)
    assert "fall together within" in listener.text


def test_reading_ahead_hands_on_errors_and_stops_when_nobody_listens():
    def broken():
        yield 1
        raise InputError("the file ends")

    source = read_ahead(broken())
    assert next(source) == 1
    with pytest.raises(InputError, match="the file ends"):
        next(source)

    def endless():
        while True:
            yield 0

    source = read_ahead(endless())
    next(source)
    source.close()
    time.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name == "milmer-read"]
