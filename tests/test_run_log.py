from pathlib import Path

import pytest

from helpers import RecordingProgress
from milmer_cli.cli.console import Console
from milmer_cli.errors import InputError
from milmer_cli.run_log import RunLog, command_line, recorded_command_line, shareable
from milmer_cli.stage_result import StageResult


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A home folder, and a working directory in it."""
    home = tmp_path / "ada"
    (home / "study").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.chdir(home / "study")
    return home


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{home}/study/prepared is new.", "prepared is new."),
        ("The folder {home}/study.", "The folder .."),
        ("--out={home}/study", "--out=."),
        ("{home}/swin lacks '/data/lab 7/x.h5'", "~/swin lacks '.../x.h5'"),
        ("/srv/Ada King/My Study 7/s01.bdf is new.", ".../s01.bdf is new."),
        ("C:\\Users\\Ada King\\s01.bdf", ".../s01.bdf"),
        ("/srv/list.csv has 3 of 4/5 trials", ".../list.csv has 3 of 4/5 trials"),
        ("/srv/eeg/ada.bdf: 3/40 trials", ".../ada.bdf: 3/40 trials"),
        ("{home}/study-2/a", "~/study-2/a"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("50 Hz and/or 60 Hz", "50 Hz and/or 60 Hz"),
    ],
)
def test_shareable_shortens_absolute_paths(folders, text, expected):
    assert shareable(text.format(home=folders)) == expected


def test_command_line_has_relative_paths_and_no_flags_of_the_output(folders):
    given = ["train", "--prepared", f"{folders}/study/my store", "--json", "--seed", "1"]
    with recorded_command_line(given):
        assert command_line() == "milmer train --prepared 'my store' --seed 1"
    assert command_line() == ""


def test_run_log_writes_nothing_before_it_is_opened(tmp_path):
    with RunLog(RecordingProgress()) as log:
        log.note("Checked.")
    assert list(tmp_path.iterdir()) == []


def test_run_log_appends_the_messages_of_every_call(tmp_path):
    progress = RecordingProgress()
    with RunLog(progress) as log:
        log.note("Before.", "warning")
        log.open(tmp_path)
        log.note("A detail.", "detail")
        log.note("After.")
    failing = RunLog(progress)
    failing.open(tmp_path)
    with pytest.raises(InputError), failing:
        raise InputError("The file is damaged.", "Restore it.")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    first, *rest = lines
    assert first.endswith(" $ called in Python")
    assert rest[:2] == ["Warning: Before.", "After."]
    assert rest[2].startswith("Finished after ")
    assert rest[4].endswith("s: The file is damaged. Restore it.")
    assert progress.messages == ["Before.", "A detail.", "After."]


def test_run_log_writes_what_the_console_showed_before(tmp_path):
    console = Console(quiet=True)
    console.progress.note("The preset is not used.")
    with RunLog(console.progress) as log:
        log.open(tmp_path)
        log.note("Second.")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert lines[1:3] == ["The preset is not used.", "Second."]
    assert console.progress.kept_notes == ["The preset is not used.", "Second."]


class Example(StageResult):
    def to_json(self):
        return {}

    def summary(self):
        return [("accuracy", "41 %"), ("pages to open", "/srv/study/a.html"), ("", "b.html")]


def test_run_log_records_a_result_and_the_given_command(tmp_path):
    result = Example()
    with RunLog(RecordingProgress(), "milmer train --seed 1") as log:
        log.open(tmp_path)
        assert log.record(result) is result
    first, *rows, last = (tmp_path / "log.txt").read_text().splitlines()
    assert first.endswith(" $ milmer train --seed 1")
    assert rows == ["accuracy: 41 %", "pages to open: .../a.html", "b.html"]
    assert last.startswith("Finished after")
    assert log.facts()["command"] == "milmer train --seed 1"


def test_run_log_does_not_follow_a_link(tmp_path):
    (tmp_path / "secret").write_text("kept")
    (tmp_path / "log.txt").symlink_to(tmp_path / "secret")
    with RunLog(RecordingProgress()) as log:
        log.open(tmp_path)
    assert (tmp_path / "secret").read_text() == "kept"
