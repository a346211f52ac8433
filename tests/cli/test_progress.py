import io

import pytest

from milmer_cli.cli.console import Console
from milmer_cli.cli.progress import BarProgress, LineProgress, format_duration


@pytest.fixture
def now(monkeypatch):
    """A clock that the test sets."""
    time = {"s": 0.0}
    monkeypatch.setattr("milmer_cli.cli.progress.time.monotonic", lambda: time["s"])
    return time


def test_line_progress_prints_at_most_one_line_per_interval(capsys, now):
    progress = LineProgress(quiet=False, verbose=False)
    progress.start("faces s01", 300, "trials")
    for _ in range(100):
        now["s"] += 1.0
        progress.advance("faces s01")
    progress.done("faces s01")
    assert capsys.readouterr().err.splitlines() == [
        "faces s01: 300 trials",
        "faces s01: 30/300 trials, 0:30 elapsed, about 4:30 left",
        "faces s01: 60/300 trials, 1:00 elapsed, about 4:00 left",
        "faces s01: 90/300 trials, 1:30 elapsed, about 3:30 left",
        "faces s01: done in 1:40",
    ]


def test_line_progress_without_a_total_estimates_nothing(capsys, now):
    progress = LineProgress(quiet=False, verbose=False)
    progress.start("reading")
    now["s"] += 31
    progress.advance("reading", 5)
    assert capsys.readouterr().err.splitlines() == ["reading", "reading: 5, 0:31 elapsed"]


@pytest.mark.parametrize(
    ("quiet", "verbose", "expected"),
    [
        (False, False, ["info", "Warning: careful"]),
        (False, True, ["detail", "info", "Warning: careful"]),
        (True, False, ["Warning: careful"]),
    ],
)
def test_line_progress_shows_notes_by_level(capsys, quiet, verbose, expected):
    progress = LineProgress(quiet, verbose)
    progress.start("task")
    progress.note("detail", "detail")
    progress.note("info")
    progress.note("careful", "warning")
    progress.done("task")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if not line.startswith("task")] == expected
    assert quiet == ("task" not in lines)


@pytest.mark.parametrize("verbose", [False, True])
def test_bar_progress_shows_parallel_tasks_and_leaves_one_line_each(monkeypatch, verbose):
    stderr = io.StringIO()
    stderr.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with Console(verbose=verbose) as opened:
        progress = opened.progress
        assert isinstance(progress, BarProgress)
        progress.start("one [1]", 2, "trials")
        progress.start("two")
        progress.advance("two", 3)
        progress.advance("one [1]")
        progress.advance("never started")
        progress.start("one [1]", 5, "trials")  # again, as every fold does
        assert len(progress._bars.tasks) == 3
        progress.note("a detail", "detail")
        progress.note("careful [/]", "warning")
        progress.done("one [1]")
        progress.done("two")
        progress.done("unknown")
    text = stderr.getvalue()
    assert text.count("one [1]: done in") == 1
    assert text.count("two: done in") == 1
    assert "Warning: careful [/]" in text
    assert ("a detail" in text) == verbose
    assert text.endswith("\x1b[?25h\n") or "\x1b[?25h" in text, "the cursor is shown again"


def test_bar_progress_frees_the_terminal_without_tasks():
    progress = BarProgress(verbose=False)
    progress.start("one")
    progress.start("two")
    progress.done("one")
    assert progress._bars.live.is_started
    progress.done("two")
    assert not progress._bars.live.is_started


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.6, "1:00"), (61, "1:01"), (3599.9, "1:00:00")],
)
def test_format_duration(seconds, expected):
    assert format_duration(seconds) == expected
