"""Experiment trackers."""

from __future__ import annotations

import pytest

from milmer_cli.errors import InputError, SettingsError
from milmer_cli.training.integrations import tracker_callbacks


def test_tracker_callbacks_refuses_an_unknown_tracker(tmp_path):
    with pytest.raises(SettingsError, match="'crystal-ball' is not installed or unknown"):
        tracker_callbacks("none,crystal-ball", tmp_path)


def test_tracker_callbacks_is_empty_without_trackers_or_run_folder(tmp_path):
    assert tracker_callbacks("none", tmp_path) == []
    assert tracker_callbacks("auto", None) == []


def test_tracker_callbacks_refuses_a_link_with_the_name_of_the_log_folder(tmp_path):
    (tmp_path / "victim").mkdir()
    (tmp_path / "tensorboard").symlink_to(tmp_path / "victim")
    with pytest.raises(InputError, match="tensorboard is a link"):
        tracker_callbacks("tensorboard", tmp_path)
    assert list((tmp_path / "victim").iterdir()) == []
