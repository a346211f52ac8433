from __future__ import annotations

import json

import pytest

from helpers import RecordingProgress
from milmer_cli.errors import InputError
from milmer_cli.progress import SILENT
from milmer_cli.training import begin_run as module
from milmer_cli.training import run_dir
from milmer_cli.training.begin_run import begin_run, check_run, require_kept
from milmer_cli.training.run_marker import MARKER

FILES = ("metrics.json", "model", "tensorboard")
FIRST = {"seed": 1, "store": "a", "train": {"lr": 0.1}}
SECOND = {"seed": 2, "store": "a", "train": {"lr": 0.2}}


def begin(out, identity, restart=False, progress=SILENT):
    return begin_run(out, identity, FILES, restart, progress)


@pytest.fixture
def unfinished(tmp_path):
    out = tmp_path / "run"
    begin(out, FIRST)
    (out / "checkpoints" / "checkpoint-5").mkdir(parents=True)
    (out / "tensorboard").mkdir()
    (out / "tensorboard" / "events").write_text("first")
    (out / "notes.txt").write_text("mine")
    return out


@pytest.fixture
def finished(unfinished):
    document = json.loads((unfinished / MARKER).read_text())
    (unfinished / "environment.json").write_text(json.dumps(document))
    (unfinished / "checkpoints" / "checkpoint-5").rmdir()
    (unfinished / MARKER).unlink()
    return unfinished


def test_begin_run_resumes_the_same_run(unfinished):
    progress = RecordingProgress()
    assert begin(unfinished, FIRST, progress=progress) is False
    assert progress.messages == [f"The unfinished run in {unfinished} is resumed."]
    assert (unfinished / "checkpoints" / "checkpoint-5").is_dir()


def test_begin_run_removes_what_a_run_left_that_was_killed_at_its_end(
    unfinished, device, monkeypatch
):
    def killed(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_dir, "remove_tree", killed)
    with pytest.raises(KeyboardInterrupt):
        run_dir.finish_run(
            unfinished, FIRST, 1, device, command="", started="2020-01-01", duration_s=1.0
        )
    assert (unfinished / "checkpoints" / "checkpoint-5").is_dir()
    assert begin(unfinished, FIRST) is True
    assert not (unfinished / "checkpoints").exists()


@pytest.mark.parametrize("state", ["unfinished", "finished"])
def test_begin_run_refuses_other_settings_and_names_restart(request, state):
    out = request.getfixturevalue(state)
    before = sorted(out.rglob("*"))
    with pytest.raises(InputError, match=r"seed=1 instead of 2, train\.lr=0\.1 ") as caught:
        begin(out, SECOND)
    assert "--restart" in caught.value.hint
    assert sorted(out.rglob("*")) == before


@pytest.mark.parametrize("state", ["unfinished", "finished"])
@pytest.mark.parametrize("identity", [FIRST, SECOND])
def test_begin_run_restart_removes_the_files_of_the_run_only(request, state, identity):
    out = request.getfixturevalue(state)
    assert begin(out, identity, restart=True) is False
    assert {path.name for path in out.iterdir()} == {MARKER, "notes.txt"}
    assert json.loads((out / MARKER).read_text())["identity"] == identity


@pytest.mark.parametrize("n_steps", range(len(FILES) + 3))
def test_begin_run_restart_that_is_killed_leaves_no_mixed_run(unfinished, monkeypatch, n_steps):
    """Killed before any of its steps: the first run with its checkpoint, or the second without."""
    real, steps = module._remove, []

    def remove(path):
        if len(steps) == n_steps:
            raise KeyboardInterrupt
        steps.append(path)
        real(path)

    monkeypatch.setattr(module, "_remove", remove)
    with pytest.raises(KeyboardInterrupt):
        begin(unfinished, SECOND, restart=True)
    identity = json.loads((unfinished / MARKER).read_text())["identity"]
    has_checkpoint = (unfinished / "checkpoints").exists()
    assert (identity == FIRST) == (n_steps == 0)
    assert has_checkpoint == (n_steps == 0)


@pytest.mark.parametrize("restart", [False, True])
def test_begin_run_never_touches_a_folder_that_is_not_a_run(tmp_path, restart):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("mine")
    with pytest.raises(InputError, match="is not a run folder"):
        begin(tmp_path, FIRST, restart=restart)
    (tmp_path / "environment.json").write_text('{"python": "3.12"}')
    with pytest.raises(InputError, match="it has no identity"):
        begin(tmp_path, FIRST, restart=restart)
    assert (tmp_path / "model" / "weights").read_text() == "mine"


def test_check_run_refuses_to_restart_a_run_of_another_command(finished):
    with pytest.raises(InputError, match=r"contains a run of train\."):
        check_run(finished, {"seed": 1, "backbone": "swin"}, restart=True)


def test_check_run_writes_nothing(tmp_path):
    assert check_run(tmp_path / "run", FIRST, restart=False) == "new"
    assert list(tmp_path.iterdir()) == []


def test_begin_run_restart_removes_a_link_and_not_its_target(unfinished, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "events").write_text("kept")
    (unfinished / "model").symlink_to(tmp_path / "disk")
    begin(unfinished, FIRST, restart=True)
    assert not (unfinished / "model").exists()
    assert (tmp_path / "disk" / "events").read_text() == "kept"


def test_require_kept_refuses_to_remove_the_backbone(tmp_path):
    (tmp_path / "swin" / "model").mkdir(parents=True)
    for backbone in (tmp_path / "swin", tmp_path / "swin" / "model"):
        with pytest.raises(InputError, match="--restart would remove the backbone"):
            require_kept(str(backbone), tmp_path / "swin")
    require_kept(str(tmp_path / "swin"), tmp_path / "tuned")
    require_kept("scratch:micro", tmp_path / "swin")
