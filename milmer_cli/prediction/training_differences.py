"""Differences between a recording and the data on which the model was trained."""

from __future__ import annotations

from collections.abc import Iterator

from milmer_cli.bundle.contents import Bundle
from milmer_cli.errors import shorten
from milmer_cli.prediction.recording import EegRecording


def training_differences(bundle: Bundle, recording: EegRecording | None) -> Iterator[str]:
    """Yield one sentence per difference: source, channels, signals, eye artifacts.

    Parameters
    ----------
    bundle
        The model.
    recording
        The EEG; None without EEG.
    """
    if recording is not None:
        yield from _source(bundle)
        yield from _channels(recording)
        yield from _signals(bundle, recording)
        yield from _eye_artifacts(bundle, recording)


def _source(bundle: Bundle) -> Iterator[str]:
    cleaned, participants = bundle.training.cleaned, bundle.training.participants
    if not cleaned:
        return
    share = "" if cleaned == participants else f"{cleaned} of {participants} of "
    low, high = bundle.settings.eeg.band_hz
    yield (
        f"The model was trained on {share}DEAP's preprocessed EEG, cleaned by its authors, and "
        f"this is a raw recording, cleaned here in the same band ({low:g} to {high:g} Hz). The "
        "accuracy may be lower. Prepare with --source bdf to train on raw EEG."
    )


def _channels(recording: EegRecording) -> Iterator[str]:
    match, n_channels = recording.match, len(recording.channels)
    if match.renamed:
        pairs = [f"{name} for {wanted}" for wanted, name in match.renamed.items()]
        yield f"Channels with another name: {shorten(pairs)}."
    if match.missing:
        yield (
            f"{len(match.missing)} of the model's {n_channels} channels are missing and are "
            f"interpolated from their neighbors: {', '.join(match.missing)}."
        )
    if match.extra:
        yield f"Channels that the model does not use: {shorten(match.extra)}."


def _signals(bundle: Bundle, recording: EegRecording) -> Iterator[str]:
    info, eeg = recording.block.raw.info, bundle.settings.eeg
    sfreq, (low, high) = float(info["sfreq"]), eeg.band_hz
    if sfreq < eeg.sfreq_hz:
        yield (
            f"The sampling rate is {sfreq:g} Hz and the model expects {eeg.sfreq_hz:g} Hz: the "
            f"signal is resampled, and contains nothing above {sfreq / 2:g} Hz."
        )
    if info["lowpass"] < min(high, sfreq / 2) or info["highpass"] > low:
        yield (
            f"The recorder filtered from {info['highpass']:g} to {info['lowpass']:g} Hz; the model "
            f"was trained on {low:g} to {high:g} Hz."
        )
    if recording.match.extra or recording.match.missing or recording.match.renamed:
        yield (
            f"The EEG is re-referenced to the average of the model's {len(recording.channels)} "
            "channels, as in training."
        )


def _eye_artifacts(bundle: Bundle, recording: EegRecording) -> Iterator[str]:
    """Compare how eye artifacts are found with what was done in the training recordings."""
    methods = bundle.training.eog_methods or {}
    if bundle.settings.eeg.eog_correction in ("none", "icalabel") or not methods:
        return
    n_total = sum(methods.values())
    n_with_eog = sum(methods.get(name, 0) for name in ("eog_regression", "eog_components"))
    has_eog = recording.block.eog or "eog" in recording.block.raw.get_channel_types()
    if n_with_eog and not has_eog:
        yield (
            f"In {n_with_eog} of {n_total} training recordings, eye artifacts were removed with "
            "EOG channels, and this recording has none: name its EOG channels with --eog."
        )
    if has_eog and not n_with_eog:
        yield (
            "Eye artifacts are removed with the EOG channels of this recording; none of the "
            f"{n_total} training recordings was cleaned with EOG channels."
        )
