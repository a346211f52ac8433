"""Write a participant's BDF file, with the channel order and status of their recording site."""

from __future__ import annotations

import datetime
from pathlib import Path

import edfio
import numpy as np

from milmer_cli.demo.eeg import AUXILIARY, Signals
from milmer_cli.demo.patterns import GENEVA, TWENTE
from milmer_cli.demo.plan import AFTER_S, FIXATION_S, LEAD_S, stream
from milmer_cli.demo.spec import SFREQ_HZ, DemoSpec, ParticipantTruth

RANGE_UV = (-262144.0, 262144.0)
"""With 24 bits this makes a unit 1/32 microvolt, as in BioSemi's files."""
DIGITAL_RANGE = (-8388608, 8388607)
HELD = 16
"""Samples for which a code stays."""
FIRST_NUMBER_WITH_HIGH_BITS = 24
IDLE = 0x18FF00
FIRST = 0x010000
BATTERY = 0x400000
SUBTYPE_AT = 192
"""Where the header says what kind of BDF it is."""


def write_bdf(path: Path, spec: DemoSpec, truth: ParticipantTruth, signals: Signals) -> None:
    """Write the recording; participants 29-32 have an extra unnamed channel before the status."""
    order = TWENTE if truth.site == "A" else GENEVA
    rows = [signals.electrodes[GENEVA.index(name)] for name in order]
    channels = [
        _analogue(row, name)
        for name, row in zip((*order, *AUXILIARY), (*rows, *signals.auxiliary), strict=True)
    ]
    if truth.number >= 29:
        channels.append(_analogue(np.zeros(truth.n_samples, dtype=np.float32), ""))
    words = status_words(spec, truth)
    label = "Status" if truth.number < FIRST_NUMBER_WITH_HIGH_BITS else ""
    channels.append(
        edfio.BdfSignal.from_digital(
            words,
            SFREQ_HZ,
            label=label,
            physical_dimension="Boolean",
            prefiltering="No filtering",
        )
    )
    recording = edfio.Recording(startdate=datetime.date(2010, 3, 1), equipment_code="BioSemi")
    edfio.Bdf(channels, recording=recording, data_record_duration=1).write(path)
    with path.open("r+b") as file:  # edfio leaves the field empty that BioSemi fills
        file.seek(SUBTYPE_AT)
        file.write(b"24BIT".ljust(44))


def _analogue(row: np.ndarray, label: str) -> edfio.BdfSignal:
    dimension = "Ohm" if label.startswith("GSR") else "uV"
    return edfio.BdfSignal(
        row.astype(np.float64),
        SFREQ_HZ,
        label=label,
        physical_dimension=dimension,
        physical_range=RANGE_UV,
        digital_range=DIGITAL_RANGE,
        prefiltering="HP: DC; LP: 104 Hz",
    )


def events(spec: DemoSpec, truth: ParticipantTruth) -> list[tuple[float, int]]:
    """Return (seconds, code) of everything on the Status channel, in order.

    1 start, baseline, rating screen; 2 sync screen; 3 fixation; 4 stimulus; 5 fixation after it; 6
    a code DEAP does not document, once; 7 end.
    """
    marks = [(0.5, 1), (1.5, 1), (LEAD_S - 1.0, 2)]
    for trial in truth.trials:
        end_s = trial.onset_s + spec.stimulus_s
        marks += [(trial.onset_s - FIXATION_S + 0.05, 3), (trial.onset_s, 4)]
        marks += [(end_s, 5), (end_s + AFTER_S, 1)]
    end_s = truth.n_samples / SFREQ_HZ
    return [*marks, (end_s - 2.0, 2), (end_s - 1.5, 6), (end_s - 1.0, 7)]


def status_words(spec: DemoSpec, truth: ParticipantTruth) -> np.ndarray:
    """Return the Status channel, (n_samples,) int32; from participant 24 on with high bits."""
    words = np.zeros(truth.n_samples, dtype=np.int32)
    for seconds, code in events(spec, truth):
        start = round(seconds * SFREQ_HZ)
        words[start : start + HELD] = code
    if truth.number >= FIRST_NUMBER_WITH_HIGH_BITS:
        words |= IDLE
        words[0] |= FIRST
        rng = stream(spec, 4, truth.number)
        # The battery bit flickers, here and there in the middle of a code: an edge, but no event.
        starts = rng.integers(SFREQ_HZ, truth.n_samples - SFREQ_HZ, size=8)
        inside = [trial.onset_sample + HELD // 2 for trial in truth.trials[::2]]
        for start in (*starts, *inside):
            words[start : start + int(rng.integers(4, SFREQ_HZ))] |= BATTERY
    return words
