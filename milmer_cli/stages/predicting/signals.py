"""A recording with any cap -> segments of the channels that the model knows, and how good they are.

Up to `WHOLE_S` a recording is cleaned as a whole, exactly as `prepare` cleans it. A longer one goes
in pieces that overlap by more than any filter reaches, so that memory does not grow with its
length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.recordings.artefacts import flat_segments
from milmer_cli.recordings.bdf import check_bdf, read_bdf
from milmer_cli.recordings.channels import few, find_channels
from milmer_cli.recordings.eeg import CleanEeg, clean, cut_trial, open_eeg
from milmer_cli.recordings.eeg_files import cut_short
from milmer_cli.recordings.montage import ChannelMatch, fill_missing, match_channels
from milmer_cli.recordings.trial import EegBlock
from milmer_cli.recordings.units import doubt
from milmer_cli.settings.schema import EegSettings, PredictSettings
from milmer_cli.training.runfolder import Run

WHOLE = 0
"""Number of the only trial of a recording that is not one of DEAP's."""

WHOLE_S, PIECE_S, MARGIN_S = 5400.0, 2700.0, 30.0
_FLAT_UV = 0.5


@dataclass(frozen=True)
class Recording:
    """An opened EEG recording whose channels have the model's names.

    Attributes
    ----------
    path
        The file.
    block
        Its ``raw`` holds the channels that were found, those of the eyes and the triggers.
    channels
        The model's channels, in its order.
    match
        Which of the file stand for them.
    """

    path: Path
    block: EegBlock
    channels: tuple[str, ...]
    match: ChannelMatch


@dataclass(frozen=True, eq=False)
class Signals:
    """EEG of consecutive segments.

    Attributes
    ----------
    data
        (n, channels, samples) float32, microvolts.
    good
        (n,) share of the channels that were recorded there and are no artefact.
    interpolated
        (n,) how many channels are made from their neighbours.
    """

    data: np.ndarray
    good: np.ndarray
    interpolated: np.ndarray

    def __len__(self) -> int:
        return len(self.data)


def open_recording(path: Path, run: Run, limits: PredictSettings, eog: str = "") -> Recording:
    """Open a recording and find the model's channels in it.

    Parameters
    ----------
    path
        Any format that mne reads. A BDF laid out as DEAP's gets DEAP's eye channels.
    run
        Whose channels are wanted.
    limits
        How many of them may be missing.
    eog
        As `Request.eog`.

    Raises
    ------
    InputError
        The file cannot be read, its channels are ambiguous, or it lacks too many.
    """
    block = open_block(path, eog)
    kinds = dict(zip(block.raw.ch_names, block.raw.get_channel_types(), strict=True))
    eyes = [name for pair in block.eog for name in pair]
    electrodes = [name for name, kind in kinds.items() if kind == "eeg" and name not in eyes]
    match = match_channels(run.channels, electrodes, str(path))
    allowed = min(int(limits.max_bad_channels * len(run.channels)), len(run.channels) - 1)
    if len(match.missing) > allowed:
        raise InputError(
            f"{path} lacks {len(match.missing)} of the {len(run.channels)} channels that the model "
            f"was trained on ({few(match.missing)}), and at most {allowed} can be "
            "interpolated.",
            f"It has: {few(electrodes)}. Rename them, or predict from the video: --no-eeg.",
        )
    kept = [*match.found.values(), *eyes]
    kept += [name for name, kind in kinds.items() if kind in ("eog", "stim") and name not in kept]
    block.raw.pick(kept, verbose="error")
    block.raw.rename_channels({name: wanted for wanted, name in match.found.items()})
    return Recording(path, block, run.channels, match)


def open_block(path: Path, eog: str = "") -> EegBlock:
    """Open a recording with all its channels; a BDF laid out as DEAP's as one of DEAP's."""
    if path.suffix.lower() == ".bdf":
        check_bdf(path)
        if not eog:
            try:
                block = read_bdf(path)
            except InputError:
                block = None  # a BDF, but not laid out as DEAP's
            if block is not None and block.onset_s and block.eog:
                return block
    raw = open_eeg(path)
    pairs = []
    for text in filter(None, (part.strip() for part in eog.split(";"))):
        names = [text] if text in raw.ch_names else text.split("-")
        pairs.append(
            tuple(find_channels([name.strip() for name in names], raw.ch_names, str(path)))
        )
    kinds = {name: "eog" for pair in pairs for name in pair}
    raw.set_channel_types(kinds, on_unit_change="ignore", verbose="error")
    return EegBlock(raw, {}, eog=tuple(pairs))


class SignalReader:
    """Gives the segments of a recording in order, cleaning no more at once than a piece.

    Parameters
    ----------
    recording
        The recording.
    onset_s
        Where in it the stimulus starts.
    onsets
        (n,) starts of the segments, in seconds from there.
    settings
        How the model's training data were cleaned.
    limits
        What makes a channel bad.
    whole
        Clean the recording as a whole however long it is: the segments are then those of `prepare`.
    """

    def __init__(
        self,
        recording: Recording,
        onset_s: float,
        onsets: np.ndarray,
        settings: EegSettings,
        limits: PredictSettings,
        whole: bool,
    ) -> None:
        self.notes: dict[str, None] = {}
        self.warnings = dict.fromkeys(filter(None, [cut_short(recording.path)]))
        self._recording, self._settings, self._limits = recording, settings, limits
        self._onset_s, self._onsets = onset_s, onsets
        raw = recording.block.raw
        self._length_s = raw.n_times / float(raw.info["sfreq"])
        self._whole = whole or self._length_s <= WHOLE_S or settings.layout == "published"
        self._pieces = self._read()
        self._waiting: list[Signals] = []

    def take(self, count: int) -> Signals:
        """Give the next segments: ``count`` of them, or fewer where the recording ends."""
        while sum(map(len, self._waiting)) < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._waiting.append(piece)
        have = _join(self._waiting)
        self._waiting = [_part(have, slice(count, None))]
        return _part(have, slice(count))

    def _read(self) -> Iterator[Signals]:
        if self._whole:
            yield self._piece(self._recording.block, self._onset_s, self._onsets)
            return
        self.notes[
            f"The recording is longer than {WHOLE_S / 60:g} minutes: it was cleaned in pieces of "
            f"{PIECE_S / 60:g} minutes, each with its own bad channels and eye regression."
        ] = None
        raw = self._recording.block.raw
        for number in np.unique(self._onsets // PIECE_S):
            onsets = self._onsets[self._onsets // PIECE_S == number]
            begin = max(0.0, self._onset_s + onsets[0] - MARGIN_S)
            end = self._onset_s + onsets[-1] + self._settings.segment_s + MARGIN_S
            last = (raw.n_times - 1) / float(raw.info["sfreq"])
            part = raw.copy().crop(begin, min(end, last), verbose="error")
            block = replace(self._recording.block, raw=part)
            start = self._onset_s - (part.first_time - raw.first_time)
            yield self._piece(block, start + onsets[0], onsets - onsets[0])

    def _piece(self, block: EegBlock, onset_s: float, onsets: np.ndarray) -> Signals:
        found = list(self._recording.match.found)
        wanted = self._recording.channels
        eeg = clean(replace(block, onset_s={WHOLE: onset_s}), self._settings, found)
        flat = self._flat(eeg, onset_s + onsets)
        doubted = doubt(eeg.data)
        eeg = fill_missing(eeg, wanted)
        self.notes |= dict.fromkeys(eeg.notes)
        duration_s = float(onsets[-1]) + self._settings.segment_s
        data = cut_trial(eeg, WHOLE, duration_s, self._settings)
        made = np.array([name in eeg.interpolated for name in wanted])
        kept = np.array([name in eeg.kept for name in wanted])
        good = ~(made | kept) & self._usable(data) & ~flat[: len(data)]
        poor = int((1 - good.mean(axis=1) > self._limits.max_bad_channels).sum())
        if doubted:
            self.warnings[doubted] = None
        elif 2 * poor > len(good):
            self.warnings[self._mostly_poor(poor, len(good))] = None
        return Signals(data, good.mean(axis=1), np.full(len(data), int(made.sum())))

    def _mostly_poor(self, poor: int, segments: int) -> str:
        most, limit_uv = self._limits.max_bad_channels, self._limits.max_uv
        return (
            f"In {poor} of {segments} segments more than {most:.0%} of the channels are missing, "
            f"bad, flat or above {limit_uv:g} microvolts: look at the recording."
        )

    def _flat(self, eeg: CleanEeg, starts_s: np.ndarray) -> np.ndarray:
        """(n, channels): whether a channel of a segment was flat before the average was taken."""
        flat = np.zeros((len(starts_s), len(self._recording.channels)), bool)
        if self._settings.layout == "plain" and eeg.swings is not None:
            rows = [self._recording.channels.index(name) for name in eeg.channels]
            flat[:, rows] = flat_segments(eeg.swings, starts_s, self._settings.segment_s)
        return flat

    def _usable(self, data: np.ndarray) -> np.ndarray:
        """(n, channels): whether a channel of a segment moves, and is no artefact."""
        if self._settings.layout == "published":  # its rows are not channels
            return np.ones(data.shape[:2], bool)
        peak_to_peak = np.ptp(data, axis=2)
        return (peak_to_peak >= _FLAT_UV) & (peak_to_peak <= self._limits.max_uv)


def _join(parts: Sequence[Signals]) -> Signals:
    return (
        Signals(
            *(
                np.concatenate([getattr(part, x) for part in parts])
                for x in ("data", "good", "interpolated")
            )
        )
        if parts
        else Signals(np.zeros((0, 0, 0), np.float32), np.zeros(0), np.zeros(0, int))
    )


def _part(signals: Signals, rows: slice) -> Signals:
    return Signals(signals.data[rows], signals.good[rows], signals.interpolated[rows])
