"""The folder of a prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from milmer_cli.errors import MilmerError
from milmer_cli.prediction.output import TimelineWriter
from milmer_cli.prediction.result import SegmentPrediction

SEGMENT = SegmentPrediction(
    onset_s=0.0,
    label="HAHV",
    probabilities=np.full(4, 0.25),
    faces_found=None,
    boxes=None,
    instance_weights=np.zeros(0),
    selected=(),
    interpolated=None,
    eeg_good=None,
    flags=(),
)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_timeline_writer_reports_a_full_disk_in_one_sentence(tmp_path):
    writer = TimelineWriter(tmp_path / "timeline.csv", ["HAHV", "LAHV", "LALV", "HALV"])
    writer.write(SEGMENT)
    writer._file.close()
    writer._file = Path("/dev/full").open("w")  # noqa: SIM115 - closed by the writer
    with pytest.raises(MilmerError, match=r"disk is full: .*timeline\.csv cannot be written"):
        writer.write(SEGMENT)
    with pytest.raises(MilmerError, match="disk is full"):
        writer.__exit__()
    writer._file.close()
