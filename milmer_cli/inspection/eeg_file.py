"""An EEG file before it is prepared: channels, rate, duration and events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from milmer_cli.eeg.channels import find_electrodes
from milmer_cli.eeg.events import Event, read_events
from milmer_cli.eeg.file_size import unclosed_warning
from milmer_cli.eeg.io import AS_RECORDED, ReadOptions, open_eeg
from milmer_cli.errors import shorten
from milmer_cli.stage_result import StageResult

_LISTED, _LISTED_NAMES = 12, 50


@dataclass(frozen=True, repr=False)
class EegFileResult(StageResult):
    """Content of an EEG file, as prepare and predict read it.

    Attributes
    ----------
    path
        The file.
    duration_s, sfreq_hz
        Duration and sampling rate.
    channels
        Type -> names of its channels, in the order of the file. Of the channels of type EEG, those
        whose names are not electrodes have the type ``eeg, not an electrode``.
    events
        All events, in the order of time.
    warning
        One sentence if the recorder did not close the file, else empty.
    """

    format_name: ClassVar[str] = "inspect-eeg"

    path: Path
    duration_s: float
    sfreq_hz: float
    channels: dict[str, tuple[str, ...]]
    events: tuple[Event, ...]
    warning: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "file": str(self.path),
            "duration_s": self.duration_s,
            "sfreq_hz": self.sfreq_hz,
            "channels": {kind: list(names) for kind, names in self.channels.items()},
            "events": [asdict(event) for event in self.events],
            "warning": self.warning or None,
        }

    def summary(self) -> list[tuple[str, str]]:
        """Rows of label and value."""
        return [
            ("file", str(self.path)),
            ("duration", f"{self.duration_s:g} s"),
            ("sampling rate", f"{self.sfreq_hz:g} Hz"),
            *(
                (f"channels ({kind})", f"{len(names)}: {shorten(names, 40)}")
                for kind, names in self.channels.items()
            ),
            *self._event_rows(),
            *([("warning", self.warning)] if self.warning else []),
        ]

    def _event_rows(self) -> Iterator[tuple[str, str]]:
        if not self.events:
            yield "events", "none"
        by_name: dict[str, list[Event]] = {}
        for event in self.events:
            by_name.setdefault(event.name, []).append(event)
        for name, own in list(by_name.items())[:_LISTED_NAMES]:
            onsets = shorten([f"{event.onset_s:g}" for event in own], _LISTED)
            times = f"{len(own)} time{'s' * (len(own) > 1)}"
            yield f"event {name}", f"{times}, at {onsets} s, {_durations(own)}"
        if len(by_name) > _LISTED_NAMES:
            yield "more events", f"{len(by_name) - _LISTED_NAMES} names; --json lists all of them"


def _durations(events: list[Event]) -> str:
    """Describe the durations that events state."""
    stated = [event.duration_s for event in events if event.duration_s is not None]
    if not stated:
        return "without a duration"
    low, high = min(stated), max(stated)
    range_s = f"{low:g} s" if high - low < 0.05 else f"{low:.1f} to {high:.1f} s"
    lacking = len(events) - len(stated)
    return f"duration {range_s}" + (f" ({lacking} without)" if lacking else "")


def inspect_eeg_file(path: Path, options: ReadOptions = AS_RECORDED) -> EegFileResult:
    """Read the channels and the events of an EEG file.

    Parameters
    ----------
    path
        Any format that `open_eeg` reads.
    options
        How the file is read.

    Raises
    ------
    InputError
        The file cannot be read as EEG.
    """
    raw = open_eeg(path, options)
    sfreq = float(raw.info["sfreq"])
    channels: dict[str, tuple[str, ...]] = {}
    types = list(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    named = find_electrodes([name for name, kind in types if kind == "eeg"])
    listed = {name.strip().lower() for name in options.eeg_channels}
    for name, kind in types:
        if kind == "eeg" and name in named.other and name.strip().lower() not in listed:
            kind = "eeg, not an electrode"
        channels[kind] = (*channels.get(kind, ()), name)
    return EegFileResult(
        path,
        raw.n_times / sfreq,
        sfreq,
        channels,
        tuple(read_events(path, raw)),
        unclosed_warning(path),
    )
