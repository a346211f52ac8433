"""EDF, EDF+, BDF and BDF+ files: layout of the header, and times of the data records.

In a discontinuous file (EDF+D, BDF+D) each data record states its own onset. MNE ignores these
onsets, reads the records as if they followed each other, and drops the annotations after the end
that results. `place_records` puts the records at their true times instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import mne
import numpy as np

from milmer_cli.errors import InputError
from milmer_cli.input_files import open_input

_SAMPLE_BYTES = {".edf": 2, ".bdf": 3}
_FIXED_HEADER_BYTES, _MAX_SIGNALS = 256, 9999
_DISCONTINUOUS = (b"EDF+D", b"BDF+D")
_ANNOTATIONS = (b"EDF Annotations", b"BDF Annotations")
_MIN_GAP_S = 0.01
"""A smaller step between the onsets of two data records is a rounding error of the recorder."""

NOT_RECORDED = "BAD_ACQ_SKIP"
"""MNE's description of a period that was not recorded."""

Tal = tuple[float, float, str]
"""Onset in seconds, duration in seconds, and text of a time-stamped annotation."""


@dataclass(frozen=True)
class RecordLayout:
    """Layout of a BDF or EDF file, from its header.

    Attributes
    ----------
    header_bytes
        Size of the header.
    n_records
        Number of data records; -1 if the recorder did not close the file.
    record_bytes
        Size of one data record.
    record_s
        Duration of one data record, in seconds.
    annotation_bytes
        Ranges of bytes of a data record that contain annotations (EDF+ and BDF+).
    discontinuous
        Whether the data records state their own onsets (EDF+D and BDF+D).
    """

    header_bytes: int
    n_records: int
    record_bytes: int
    record_s: float = 0.0
    annotation_bytes: tuple[slice, ...] = ()
    discontinuous: bool = False


def read_record_layout(path: Path, sample_bytes: int) -> RecordLayout:
    """Read the layout of a BDF (``sample_bytes`` 3) or EDF (2) file from its header.

    Raises
    ------
    ValueError
        The header is not that of a BDF or EDF file.
    """
    with open_input(path) as file:
        header = file.read(_FIXED_HEADER_BYTES)
        n_signals = _header_integer(header[252:256], 1, _MAX_SIGNALS)
        fields = file.read(256 * n_signals)
    # each header field is stored for all signals together; samples per record start at 216
    samples = fields[216 * n_signals : 224 * n_signals]
    counts = [_header_integer(samples[8 * i : 8 * i + 8]) for i in range(n_signals)]
    ends = np.cumsum([0, *counts])
    header_bytes = _header_integer(header[184:192])
    if header_bytes != _FIXED_HEADER_BYTES * (n_signals + 1) or not ends[-1]:
        raise ValueError("the size of the header or of a data record is wrong")
    bounds = [slice(a * sample_bytes, b * sample_bytes) for a, b in pairwise(ends.tolist())]
    labels = [fields[16 * i : 16 * i + 16].strip() for i in range(n_signals)]
    return RecordLayout(
        header_bytes,
        _header_integer(header[236:244], -1),
        int(ends[-1]) * sample_bytes,
        float(header[244:252]),
        tuple(b for b, label in zip(bounds, labels, strict=True) if label in _ANNOTATIONS),
        header[192:197] in _DISCONTINUOUS,
    )


def read_units(path: Path) -> list[str]:
    """Return the unit of each channel of an EDF or BDF file as its header spells it.

    Annotations are not channels. The text is decoded as Latin-1.
    """
    with open_input(path) as file:
        n_signals = _header_integer(file.read(_FIXED_HEADER_BYTES)[252:256], 1, _MAX_SIGNALS)
        fields = file.read(104 * n_signals)
    labels = [fields[16 * i : 16 * i + 16].strip() for i in range(n_signals)]
    units = fields[96 * n_signals :]  # after the labels and the transducers
    return [
        units[8 * i : 8 * i + 8].decode("latin-1").strip()
        for i, label in enumerate(labels)
        if label not in _ANNOTATIONS
    ]


def sample_bytes_of(path: Path) -> int | None:
    """Return the bytes of a sample of an EDF or BDF file, by its suffix; None for others."""
    return _SAMPLE_BYTES.get(path.suffix.lower())


def _header_integer(field: bytes, low: int = 0, high: int = 10**8) -> int:
    """Convert a field of the header; Python's `int` would also accept ``1_0``."""
    if not re.fullmatch(rb"\s*-?\d+[\s\x00]*", field):
        raise ValueError(f"expected a whole number in the header, got {field!r}")
    value = int(field.strip(b"\x00 \t\r\n"))
    if not low <= value <= high:
        raise ValueError(f"expected {low} to {high} in the header, got {value}")
    return value


def annotation_encoding(path: Path) -> str:
    """Return the encoding of the annotations of an EDF+ or BDF+ file: UTF-8, or Latin-1."""
    layout = read_record_layout(path, sample_bytes_of(path) or 0)
    try:
        for text in _annotation_texts(path, layout):
            text.decode("utf-8")
    except UnicodeDecodeError:
        return "latin1"
    return "utf8"


def place_records(raw: mne.io.BaseRaw, path: Path) -> mne.io.BaseRaw:
    """Put the data records of a discontinuous file at their true times.

    Parameters
    ----------
    raw, path
        A recording, and the file from which MNE opened it.

    Returns
    -------
    mne.io.BaseRaw
        ``raw`` itself if the file is continuous. Otherwise a recording whose sample ``k`` is at
        time ``k / sfreq``, with zeros and the annotation `NOT_RECORDED` in the gaps, as MNE
        represents gaps of FIF files, and with all annotations of the file at their onsets.

    Raises
    ------
    InputError
        A data record of a discontinuous file states no onset.
    """
    sample_bytes = sample_bytes_of(path)
    if sample_bytes is None:
        return raw
    layout = read_record_layout(path, sample_bytes)
    if not (layout.discontinuous and layout.annotation_bytes and layout.record_s > 0):
        return raw
    sfreq = float(raw.info["sfreq"])
    length = round(layout.record_s * sfreq)
    try:
        records = [_parse_tals(text) for text in _annotation_texts(path, layout)]
        onsets = np.array([tals[0][0] for tals in records[: raw.n_times // length]])
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path} is declared as discontinuous (EDF+D), but a data record states no onset.",
            "Export it again.",
        ) from error
    runs = _continuous_runs(onsets - onsets[0], layout.record_s, sfreq)
    if len(runs) == 1:
        return raw
    placed = _PlacedRaw(raw, runs)
    tals = [tal for record in records for tal in record if tal[2]]
    placed.set_annotations(_annotations(tals, float(onsets[0]), raw.ch_names), verbose="error")
    for before, after in pairwise(runs):
        placed.annotations.append(
            before.stop / sfreq, (after.start - before.stop) / sfreq, NOT_RECORDED
        )
    return placed


@dataclass(frozen=True)
class _Run:
    """Consecutive data records without a gap, in samples.

    Attributes
    ----------
    start, stop
        Range in time.
    source
        First sample in the file.
    """

    start: int
    stop: int
    source: int


class _PlacedRaw(mne.io.BaseRaw):
    """A recording whose data records are at their true times, with zeros between them.

    Parameters
    ----------
    raw
        The recording as MNE reads it, without gaps.
    runs
        Where its samples belong.
    """

    def __init__(self, raw: mne.io.BaseRaw, runs: Sequence[_Run]) -> None:
        super().__init__(
            raw.info.copy(),
            preload=False,
            raw_extras=[{"recorded": raw, "runs": tuple(runs)}],  # all that MNE gives the reader
            last_samps=[runs[-1].stop - 1],
            filenames=list(raw.filenames),
            orig_units=dict(raw._orig_units),
            verbose="error",
        )

    def _read_segment_file(
        self, data: np.ndarray, idx: Any, fi: int, start: int, stop: int, cals: Any, mult: Any
    ) -> None:
        """Read the samples from ``start`` to ``stop``; called by MNE."""
        recorded, runs = self._raw_extras[fi]["recorded"], self._raw_extras[fi]["runs"]
        picks = np.arange(len(recorded.ch_names))[idx]
        data[:] = 0.0
        for run in runs:
            first, last = max(start, run.start), min(stop, run.stop)
            if first < last:
                source = run.source + first - run.start
                part = recorded.get_data(picks, source, source + last - first, verbose="error")
                data[:, first - start : last - start] = part
        data *= cals


def _continuous_runs(onsets_s: np.ndarray, record_s: float, sfreq: float) -> list[_Run]:
    """Join the data records that follow each other without a gap."""
    length = round(record_s * sfreq)
    breaks = 1 + np.flatnonzero(np.diff(onsets_s) - record_s > _MIN_GAP_S)
    runs: list[_Run] = []
    for first, after in pairwise([0, *breaks.tolist(), len(onsets_s)]):
        # records may not overlap, so rounding errors that add up cannot move a run backwards
        start = max(round(onsets_s[first] * sfreq), runs[-1].stop if runs else 0)
        runs.append(_Run(start, start + (after - first) * length, first * length))
    return runs


def _annotation_texts(path: Path, layout: RecordLayout) -> Iterator[bytes]:
    """Yield the annotations of each data record, as bytes."""
    n_records = (path.stat().st_size - layout.header_bytes) // layout.record_bytes
    if not layout.annotation_bytes:
        return
    with open_input(path) as file:
        for record in range(n_records):
            text = b""
            for part in layout.annotation_bytes:
                file.seek(layout.header_bytes + record * layout.record_bytes + part.start)
                text += file.read(part.stop - part.start)
            yield text


def _parse_tals(text: bytes) -> list[Tal]:
    """Return the time-stamped annotations; the first one, without a text, is of the record."""
    tals = []
    for tal in filter(None, text.split(b"\x00")):
        times, *texts = _decode(tal).split("\x14")
        onset, _, duration = times.partition("\x15")
        tals += [(float(onset), float(duration or 0), words) for words in texts[:-1]]
    return tals


def _decode(text: bytes) -> str:
    """Decode an annotation: UTF-8, or Latin-1 as older recorders write it."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _annotations(tals: Sequence[Tal], first_s: float, channels: Sequence[str]) -> mne.Annotations:
    """Return annotations with onsets from the first sample; ``text@@channel`` is of one channel."""
    texts, names = [], []
    for _, _, words in tals:
        text, _, channel = words.partition("@@")
        texts.append(text if channel in channels else words)
        names.append((channel,) if channel in channels else ())
    onsets = [onset - first_s for onset, _, _ in tals]
    return mne.Annotations(onsets, [duration for _, duration, _ in tals], texts, ch_names=names)
