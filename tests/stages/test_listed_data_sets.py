"""The copies of EAV, MAHNOB-HCI, AMIGOS and BIDS are read and prepared as their truth states.

The truth and the marks come from the writers, which share no code with the readers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from milmer_cli.datasets.listing import DatasetListing
from milmer_cli.datasets.open_recordings import list_dataset, open_listing
from milmer_cli.datasets.synthetic import ListedConfig, ListedTruth, generate_listed
from milmer_cli.datasets.synthetic.listed.generate import plan_listed
from milmer_cli.datasets.synthetic.listed.trial_marks import SLOT_S, mark_wave, read_time_mark
from milmer_cli.datasets.synthetic.listed.truth import ListedTrial
from milmer_cli.preparation.input_check import check_listing
from milmer_cli.settings import load_settings
from milmer_cli.settings.schema import Settings
from milmer_cli.stages.prepare import prepare
from milmer_cli.store import PreparedStore

pytestmark = pytest.mark.slow

CONFIGS = {
    "eav": ListedConfig("eav", participants=3, trials=10, stimulus_s=6.0, seed=5),
    "mahnob": ListedConfig("mahnob", participants=3, trials=4, stimulus_s=6.0, seed=5),
    "amigos": ListedConfig("amigos", participants=4, trials=20, stimulus_s=6.0, seed=5),
    "bids": ListedConfig("bids", participants=4, trials=4, stimulus_s=6.0, seed=5),
}
SETTING_OF = {
    "--eeg-channels": "data.eeg_channels",
    "--trial-type": "data.trial_type",
    "--label-column": "data.label_column",
}
SMALL = ["faces.detector=centerface", "faces.image_size=48", "run.workers=1", "run.device=cpu"]
MIN_CORRELATION = 0.4
MAX_ERROR_S = 0.012
"""Largest error of the start of a trial in the EEG: less than two samples at 128 Hz."""


class Listed(NamedTuple):
    root: Path
    truth: ListedTruth
    settings: Settings
    listing: DatasetListing

    def pairs(self) -> Iterator[tuple[Any, ListedTrial]]:
        """Yield each row with its trial of the truth."""
        trials = {(t.participant, digits(t.session), t.trial): t for t in self.truth.trials}
        of_file = {t.eeg: t for t in self.truth.trials if t.eeg_index is None}
        for row in self.listing.rows:
            eeg = row.get("eeg")
            name = eeg.relative_to(self.root).as_posix() if isinstance(eeg, Path) else ""
            identity = digits(row["participant"]), digits(row.get("session", "")), int(row["trial"])
            is_single = self.truth.config.data_set == "mahnob" and name in of_file
            yield row, of_file[name] if is_single else trials[identity]

    def participants(self) -> dict[str, int]:
        """Return the names of the reader with the numbers of the truth."""
        return {str(row["participant"]): digits(row["participant"]) for row in self.listing.rows}


def digits(name: object) -> int:
    """Return the number in a name; 0 if there is none."""
    return int(re.sub(r"\D", "", str(name)) or 0)


@pytest.fixture(scope="module", params=list(CONFIGS))
def listed(request: pytest.FixtureRequest, made_once: Callable[..., Path]) -> Listed:
    name = request.param
    root = made_once(f"listed-{name}", lambda out: generate_listed(out, CONFIGS[name], workers=1))
    truth = plan_listed(CONFIGS[name])
    words = iter(truth.options)
    stated = [f"{SETTING_OF[flag]}={value}" for flag, value in zip(words, words, strict=True)]
    settings = load_settings(overrides=[*SMALL, *stated])
    return Listed(root, truth, settings, list_dataset(name, root, settings.data))


@pytest.fixture(scope="module")
def store(listed: Listed, made_once: Callable[..., Path]) -> PreparedStore:
    recordings = open_listing(listed.listing, listed.settings.data)
    name = listed.truth.config.data_set
    folder = made_once(
        f"listed-store-{name}", lambda out: prepare(recordings, out, listed.settings)
    )
    return PreparedStore.open(folder)


def test_list_dataset_has_every_usable_trial_once_with_its_class_and_ratings(listed):
    pairs = list(listed.pairs())
    assert len({trial.code for _, trial in pairs}) == len(pairs)
    listed_codes = {trial.code for _, trial in pairs}
    assert {trial.code for trial in listed.truth.trials if trial.usable} <= listed_codes
    for row, trial in pairs:
        if trial.label and trial.usable:
            assert row["label"] == trial.label
        if trial.condition:
            assert row["condition"] == trial.condition or not trial.usable
        if trial.ratings is not None and listed.truth.config.data_set != "eav":
            given = [row.get(name) for name in ("valence", "arousal")]
            expected = np.round(trial.ratings[:2], 6)
            np.testing.assert_allclose([float(v) for v in given], expected, atol=1e-6)
        if trial.eeg.endswith(".set"):
            assert row["eeg_unit"] == "mV"  # of channels.tsv; the format states none
        assert float(row["duration_s"]) == pytest.approx(trial.duration_s, abs=0.01)


def test_list_dataset_trials_are_in_order_of_presentation(listed):
    for name in listed.participants():
        own = [(row, trial) for row, trial in listed.pairs() if row["participant"] == name]
        by_row = sorted(own, key=lambda pair: (str(pair[0].get("session")), int(pair[0]["trial"])))
        presented = [(trial.session, trial.trial) for _, trial in by_row]
        assert presented == sorted(presented)


def test_list_dataset_stimuli_are_the_clips(listed):
    names = {}
    for row, trial in listed.pairs():
        if trial.stimulus:
            names.setdefault(row["stimulus"], set()).add(trial.stimulus)
    assert all(len(clips) == 1 for clips in names.values())
    clips = {clip for own in names.values() for clip in own}
    assert len(clips) == len(names)
    if listed.truth.config.data_set == "eav":
        assert len({row["stimulus"] for row in listed.listing.rows}) == len(listed.listing.rows)


def test_list_dataset_videos_show_the_mark_of_the_trial_at_its_time(listed):
    n_videos = 0
    for row, trial in listed.pairs():
        video = row.get("video")
        if trial.video is None or not trial.usable:
            continue
        if video in (None, ""):
            assert "run-2" in trial.video  # without acq_time: reported, see the traps
            assert (trial.participant, trial.session) == (2, "2")
            continue
        assert Path(video).relative_to(listed.root).as_posix() == trial.video
        n_videos += 1
        onset_s = float(row.get("video_onset_s") or 0.0)
        seen = 0
        for time_s, frame in decode(video):
            since_s = time_s - onset_s
            if min(since_s % SLOT_S, -since_s % SLOT_S) < 0.02:
                continue  # the frame may be on either side of a change of the mark
            if 0 <= since_s < trial.duration_s:
                mark = trial.code, np.floor(since_s / SLOT_S) * SLOT_S
                assert read_time_mark(frame) == mark, (row["participant"], trial.trial, since_s)
                seen += 1
            else:
                other = read_time_mark(frame)
                assert other is None or other[0] != trial.code
        assert seen > 3 * trial.duration_s
    assert n_videos > 5


def decode(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the time of each frame after the first one, and its image."""
    with av.open(f"file:{path}") as container:
        first = None
        for frame in container.decode(video=0):
            first = frame.time if first is None else first
            yield frame.time - first, frame.to_ndarray(format="rgb24")


def test_check_listing_reports_every_trap(listed):
    check = check_listing(listed.listing, listed.settings)
    sentences = [f"{m.what} {m.why} {m.fix}" for m in check.missing] + list(check.notes)
    sentences += [sentence for sentence in listed.listing.findings if sentence not in sentences]
    for trap in listed.truth.traps:
        if trap.expected == "reported":
            assert any(
                all(word.casefold() in sentence.casefold() for word in trap.words)
                for sentence in sentences
            ), (trap, sentences)


def test_prepare_finds_the_mark_of_each_trial_in_the_eeg(listed, store):
    numbers = listed.participants()
    n_trials = 0
    for name in stored(listed, store):
        participant = store.participant(name)
        row = participant.channels.index(listed.truth.mark_channel)
        of_participant = {t.code: t for t in listed.truth.of_participant(numbers[name])}
        for trial, code in trial_codes(listed, name).items():
            if not of_participant[code].usable:
                continue
            segments = np.flatnonzero((participant.trial == trial) & participant.eeg_found)
            assert segments.size
            n_trials += 1
            for segment in segments:
                eeg = participant.eeg[segment][row].astype(float)
                seconds = participant.onset[segment] + np.arange(eeg.size) / participant.sfreq
                found = {other: best_match(eeg, other, seconds) for other in of_participant}
                best = max(found, key=lambda other: found[other][0])
                correlation, shift_s = found[code]
                assert best == code, (name, trial, found)
                assert correlation > MIN_CORRELATION, (name, trial, correlation)
                assert abs(shift_s) <= MAX_ERROR_S, (name, trial, shift_s)
    assert n_trials >= 0.8 * sum(trial.usable for trial in listed.truth.trials)


def stored(listed: Listed, store: PreparedStore) -> list[str]:
    """Return the participants of the store, which are those of the listing."""
    assert store.participants == sorted(listed.participants())
    return store.participants


def trial_codes(listed: Listed, name: str) -> dict[int, int]:
    """Return the codes of the trials by their numbers in the store."""
    own = [(row, trial) for row, trial in listed.pairs() if row["participant"] == name]
    own.sort(key=lambda pair: (digits(pair[0].get("session", "")), int(pair[0]["trial"])))
    if len({int(row["trial"]) for row, _ in own}) == len(own):
        return {int(row["trial"]): trial.code for row, trial in own}
    return {number: trial.code for number, (_, trial) in enumerate(own, start=1)}


def best_match(eeg: np.ndarray, code: int, seconds: np.ndarray) -> tuple[float, float]:
    """Return the highest correlation with the mark of a trial, and the shift at which it occurs."""
    shifts = np.concatenate([np.arange(-0.05, 0.051, 0.002), [-30, -5, -1, -0.25, 0.25, 1, 5, 30]])
    waves = [mark_wave(code, np.maximum(seconds + shift, 0.0)) for shift in shifts]
    scores = [float(np.corrcoef(eeg, wave)[0, 1]) if wave.std() > 0 else 0.0 for wave in waves]
    best = int(np.argmax(scores))
    return scores[best], float(shifts[best])


def test_prepare_finds_the_faces_of_each_trial_at_their_times(listed, store):
    numbers = listed.participants()
    own_shares, rivals = [], []
    for name in stored(listed, store):
        participant = store.participant(name)
        trials = {t.code: t for t in listed.truth.of_participant(numbers[name])}
        for trial, code in trial_codes(listed, name).items():
            faces = participant.trial_faces(trial)
            if trials[code].video is None or np.isnan(faces.time).all():
                continue
            known = ~np.isnan(faces.time)
            times, detected = faces.time[known], (faces.found & (faces.reason == ""))[known]
            share = agreement(trials[code], times, detected)
            assert share > 0.9, (name, trial, share)
            own_shares.append(share)
            rivals.append(
                max(agreement(trials[code], times + s, detected) for s in (-5, -1, -0.3, 0.3, 1, 5))
            )
    assert len(own_shares) > 5
    assert np.mean(own_shares) > 0.97
    assert np.mean(np.array(own_shares) > np.array(rivals)) > 0.95


def agreement(trial: ListedTrial, times_s: np.ndarray, detected: np.ndarray) -> float:
    """Return the share of times at which a face is there exactly where the truth has one."""
    hidden = np.zeros(times_s.shape, bool)
    near_change = np.zeros(times_s.shape, bool)
    for span in trial.spans:
        if span.pattern is None:
            hidden |= (times_s >= span.start_s) & (times_s < span.stop_s)
            for edge_s in (span.start_s, span.stop_s):
                near_change |= np.abs(times_s - edge_s) < 0.03
    agrees = hidden != detected
    return float(np.mean(agrees[~near_change])) if (~near_change).any() else 0.0
