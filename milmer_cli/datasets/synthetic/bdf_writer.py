"""Write a participant's BDF file with the channel order and Status values of the recording site."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import edfio
import numpy as np

from milmer_cli.datasets.synthetic.config import (
    SFREQ_HZ,
    ParticipantTruth,
    RandomStream,
    SyntheticConfig,
    random_generator,
)
from milmer_cli.datasets.synthetic.eeg_signals import AUXILIARY, Signals
from milmer_cli.datasets.synthetic.effects import GENEVA, TWENTE
from milmer_cli.datasets.synthetic.schedule import FIXATION_S, LEAD_IN_S, POST_FIXATION_S
from milmer_cli.io import atomic_path
from milmer_cli.partial_files import open_partial

PHYSICAL_RANGE_UV = (-262144.0, 262144.0)
"""With 24 bits, the resolution is 1/32 microvolt, as in BioSemi's files."""
DIGITAL_RANGE = (-8388608, 8388607)
CODE_SAMPLES = 16
"""Number of samples for which an event code is held."""
FIRST_NUMBER_WITH_HIGH_BITS = 24
"""From this participant on, the Status channel has no label and its high bits are set."""
FIRST_NUMBER_WITH_EXTRA_CHANNEL = 29
IDLE_BITS = 0x18FF00
EPOCH_BIT = 0x010000
"""Set in the first sample of a BioSemi recording."""
BATTERY_BIT = 0x400000
RESERVED_FIELD_OFFSET = 192
"""Position of the header field in which BioSemi writes the format."""


def write_bdf(
    path: Path, config: SyntheticConfig, participant: ParticipantTruth, signals: Signals
) -> None:
    """Write the recording; participants 29-32 have an extra unnamed channel before the Status."""
    order = TWENTE if participant.site == "A" else GENEVA
    rows = [signals.electrodes[GENEVA.index(name)] for name in order]
    channels = [
        analog_channel(row, name)
        for name, row in zip((*order, *AUXILIARY), (*rows, *signals.auxiliary), strict=True)
    ]
    if participant.number >= FIRST_NUMBER_WITH_EXTRA_CHANNEL:
        channels.append(analog_channel(np.zeros(participant.n_samples, dtype=np.float32), ""))
    label = "Status" if participant.number < FIRST_NUMBER_WITH_HIGH_BITS else ""
    channels.append(status_channel(status_values(config, participant), label))
    write_channels(path, channels, datetime.datetime(2010, 3, 1))


def write_channels(
    path: Path, channels: Sequence[edfio.BdfSignal], start: datetime.datetime
) -> None:
    """Write a BDF file as BioSemi does."""
    recording = edfio.Recording(startdate=start.date(), equipment_code="BioSemi")
    bdf = edfio.Bdf(channels, recording=recording, starttime=start.time(), data_record_duration=1)
    with atomic_path(path) as temporary:
        bdf.write(temporary)
        with open_partial(temporary) as file:  # edfio leaves the field empty, BioSemi: 24BIT
            file.seek(RESERVED_FIELD_OFFSET)
            file.write(b"24BIT".ljust(44))


def analog_channel(row: np.ndarray, label: str, sfreq_hz: int = SFREQ_HZ) -> edfio.BdfSignal:
    """Return a channel of a BDF file; ``row`` is in microvolts."""
    return edfio.BdfSignal(
        row.astype(np.float64),
        sfreq_hz,
        label=label,
        physical_dimension="Ohm" if label.startswith("GSR") else "uV",
        physical_range=PHYSICAL_RANGE_UV,
        digital_range=DIGITAL_RANGE,
        prefiltering="HP: DC; LP: 104 Hz",
    )


def status_channel(values: np.ndarray, label: str, sfreq_hz: int = SFREQ_HZ) -> edfio.BdfSignal:
    """Return the Status channel of a BDF file; ``values`` are integers."""
    return edfio.BdfSignal.from_digital(
        values, sfreq_hz, label=label, physical_dimension="Boolean", prefiltering="No filtering"
    )


def status_events(
    config: SyntheticConfig, participant: ParticipantTruth
) -> list[tuple[float, int]]:
    """Return the (seconds, code) of all events on the Status channel, in order.

    Codes: 1 start, baseline and rating screen; 2 synchronization screen; 3 fixation; 4 stimulus;
    5 fixation after the stimulus; 6 occurs once in DEAP and is undocumented; 7 end.
    """
    events = [(0.5, 1), (1.5, 1), (LEAD_IN_S - 1.0, 2)]
    for trial in participant.trials:
        end_s = trial.onset_s + config.stimulus_s
        events += [(trial.onset_s - FIXATION_S + 0.05, 3), (trial.onset_s, 4)]
        events += [(end_s, 5), (end_s + POST_FIXATION_S, 1)]
    end_s = participant.n_samples / SFREQ_HZ
    return [*events, (end_s - 2.0, 2), (end_s - 1.5, 6), (end_s - 1.0, 7)]


def status_values(config: SyntheticConfig, participant: ParticipantTruth) -> np.ndarray:
    """Return the Status channel, (n_samples,) int32; high bits are set from participant 24 on."""
    values = np.zeros(participant.n_samples, dtype=np.int32)
    for seconds, code in status_events(config, participant):
        start = round(seconds * SFREQ_HZ)
        values[start : start + CODE_SAMPLES] = code
    if participant.number >= FIRST_NUMBER_WITH_HIGH_BITS:
        values |= IDLE_BITS
        values[0] |= EPOCH_BIT
        rng = random_generator(config, RandomStream.STATUS, participant.number)
        # The battery bit changes at random and also while a code is held: an edge, but no event.
        random_starts = rng.integers(SFREQ_HZ, participant.n_samples - SFREQ_HZ, size=8)
        within_codes = [trial.onset_sample + CODE_SAMPLES // 2 for trial in participant.trials[::2]]
        for start in (*random_starts, *within_codes):
            values[start : start + int(rng.integers(4, SFREQ_HZ))] |= BATTERY_BIT
    return values
