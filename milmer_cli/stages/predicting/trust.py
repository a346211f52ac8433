"""What is said before the result: how good the model was, and what differs from its training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from milmer_cli.metrics.calibration import Reliability
from milmer_cli.recordings.artefacts import NO_EYES
from milmer_cli.stages.predicting.outcome import Segment
from milmer_cli.stages.predicting.request import Request
from milmer_cli.stages.predicting.signals import Recording
from milmer_cli.stages.segments import face_finder
from milmer_cli.training.runfolder import METRICS, Run

_WORDS = {"eeg": "EEG", "face": "video"}


def metrics_of(run: Run) -> dict[str, Any]:
    """Read what is known of a run's model."""
    found: dict[str, Any] = json.loads((run.path / METRICS).read_text(encoding="utf-8"))
    return found


def trust(run: Run, seen: str) -> str:
    """Say how good the model was on its test part, with the modalities that it is given here.

    Parameters
    ----------
    run
        The run.
    seen
        ``both``, ``eeg`` or ``face``.
    """
    metrics = metrics_of(run)
    if seen == "both" or run.settings.model.modalities == seen:
        return str(metrics["headline"])
    alone = metrics.get("headline_alone", {}).get(seen)
    return f"with {_WORDS[seen]} alone: {alone or 'never tested'}"


def doubts(run: Run, seen: str, why: str = "") -> Iterator[str]:
    """Say what to think of a model that is shown one of its two modalities only.

    Parameters
    ----------
    run, seen
        As for `trust`.
    why
        Why the other one is not seen; by default that it is not there.
    """
    model = run.settings.model
    if model.modalities != "both" or seen == "both":
        return
    absent = "video" if seen == "eeg" else "EEG"
    why = why or f"There is no {absent}."
    if not model.modality_dropout:
        yield (
            f"{why} This model was trained without modality dropout: it never saw a segment "
            f"without {absent}, so its answers here are guesswork, whatever their probabilities. "
            f"{_tested(run, seen)}"
        )
    else:
        yield (
            f"{why} The model met this in {model.modality_dropout / 2:.0%} of its "
            f"training segments. {_tested(run, seen)}"
        )


def rested_on(run: Run, seen: str, segments: Sequence[Segment]) -> tuple[str, list[str]]:
    """Tell what the answers rest on in the end, and warn where it is less than was given.

    Returns
    -------
    rested, warnings
        As ``seen`` of `trust`; one sentence where a modality could be used in no segment.
    """
    if seen != "both":
        return seen, []
    if all(segment.faces == 0 for segment in segments):
        why = "The participant's face was found nowhere in the video: the EEG alone is judged."
        return "eeg", list(doubts(run, "eeg", why))
    if all("eeg_artefact" in segment.flags for segment in segments):
        why = "No segment has EEG good enough to judge it: --no-eeg predicts from the video alone."
        return "face", [f"{why} {_tested(run, 'face')}"]
    return seen, []


def _tested(run: Run, seen: str) -> str:
    alone = metrics_of(run).get("headline_alone", {}).get(seen)
    if alone is None:
        return f"How good it is on {_WORDS[seen]} alone was never tested."
    return f"On its test part, {_WORDS[seen]} alone gave: {alone}."


def reliabilities(run: Run) -> tuple[Reliability, Reliability | None] | None:
    """Give the calibration that the model had on its test part: as trained, and after."""
    found = metrics_of(run).get("calibration", {})
    if "as_trained" not in found:
        return None
    return _reliability(found["as_trained"]), _reliability(found["calibrated"])


def _reliability(plain: dict[str, Any]) -> Reliability:
    arrays = {
        name: np.array([np.nan if x is None else x for x in plain[name]], dtype=float)
        for name in ("edges", "confidence", "right")
    }
    return Reliability(**arrays, count=np.array(plain["count"]), error=float(plain["error"]))


def differences(run: Run, recording: Recording | None, request: Request) -> Iterator[str]:
    """Say what a recording has otherwise than the data that the model was trained on."""
    if recording is not None:
        yield from _source(run)
        yield from _channels(recording)
        yield from _signals(run, recording)
    if request.video is not None and run.settings.model.modalities != "eeg":
        trained, here = run.environment["store"]["detector"], face_finder(run.settings.faces).name
        if trained != here:
            yield f"Faces are found by {here} here and were by {trained} in training."


def _source(run: Run) -> Iterator[str]:
    store, eeg = run.environment["store"], run.settings.eeg
    if not (cleaned := store.get("cleaned")):
        return
    everybody = store["participants"]
    share = "" if len(cleaned) == len(everybody) else f"{len(cleaned)} of {len(everybody)} of "
    low, high = eeg.band_hz
    yield (
        f"The model was trained on {share}DEAP's preprocessed EEG (4 to 45 Hz, cleaned by its "
        f"authors) and this is a raw recording, which is cleaned here ({low:g} to {high:g} Hz): "
        "the two differ, and the result may suffer. Prepare with --source bdf to train on raw EEG."
    )


def _channels(recording: Recording) -> Iterator[str]:
    match, count = recording.match, len(recording.channels)
    if match.renamed:
        pairs = [f"{name} for {wanted}" for wanted, name in match.renamed.items()]
        yield f"Channels by another name: {_few(pairs)}."
    if match.missing:
        yield (
            f"{len(match.missing)} of the model's {count} channels are not in the recording and "
            f"are interpolated from their neighbours: {', '.join(match.missing)}."
        )
    if match.extra:
        yield f"Channels that the model does not know are left out: {_few(match.extra)}."


def _signals(run: Run, recording: Recording) -> Iterator[str]:
    info, eeg = recording.block.raw.info, run.settings.eeg
    rate, (low, high) = float(info["sfreq"]), eeg.band_hz
    if rate < eeg.sfreq_hz:
        yield (
            f"Recorded at {rate:g} Hz and the model takes {eeg.sfreq_hz:g} Hz: the signal is "
            f"resampled, but nothing above {rate / 2:g} Hz is in it."
        )
    if info["lowpass"] < min(high, rate / 2) or info["highpass"] > low:
        yield (
            f"The recorder's own filter passed {info['highpass']:g} to {info['lowpass']:g} Hz; the "
            f"model was trained on {low:g} to {high:g} Hz."
        )
    if recording.match.extra or recording.match.missing or recording.match.renamed:
        yield (
            f"Whatever the recording was referenced to, the average of the model's "
            f"{len(recording.channels)} channels is taken, as in training."
        )
    eyes = recording.block.eog or [k for k in recording.block.raw.get_channel_types() if k == "eog"]
    if eeg.eog != "none" and not eyes:
        yield (
            f"{NO_EYES} In training they were where there was one: name such channels with --eog."
        )


def _few(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
