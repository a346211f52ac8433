"""Experiment trackers."""

from __future__ import annotations

import pytest

from milmer_cli.errors import SettingsError
from milmer_cli.training.integrations import tracker_callbacks


def test_tracker_callbacks_refuses_an_unknown_tracker(tmp_path):
    with pytest.raises(SettingsError, match="'crystal-ball' is not installed or unknown"):
        tracker_callbacks("none,crystal-ball", tmp_path)


def test_tracker_callbacks_is_empty_without_trackers_or_run_folder(tmp_path):
    assert tracker_callbacks("none", tmp_path) == []
    assert tracker_callbacks("auto", None) == []
