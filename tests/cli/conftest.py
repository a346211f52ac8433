import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from milmer_cli.cli.app import run
from milmer_cli.formats import FORMATS, Format
from milmer_cli.weights import local_backbones


@dataclass
class Outcome:
    """Exit code and output of a command line."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Undo `silence_libraries`, which commands call for their whole process."""
    before = dict(os.environ)
    yield
    logging.disable(logging.NOTSET)
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture(autouse=True)
def _no_files_in_the_home_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def milmer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def milmer(*arguments: str) -> Outcome:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return milmer


@dataclass
class FakeResult:
    paths: str = "runs/first"
    score: float = float("nan")
    complete: bool = True
    format_name: ClassVar[str] = "stand-in"

    def to_json(self) -> dict[str, Any]:
        return {"out": self.paths, "accuracy": self.score, "nested": [{"x": float("inf")}]}

    def summary(self) -> list[tuple[str, str]]:
        return [("accuracy (by trial)", "0.5"), ("run", "x" * 300)]


@dataclass
class Stage:
    """Stand-in for a stage that records its calls."""

    error: BaseException | None = None
    complete: bool = True
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def __call__(self, *arguments: Any, **named: Any) -> FakeResult:
        self.calls.append((arguments, named))
        if self.error is not None:
            raise self.error
        return FakeResult(complete=self.complete)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stage]:
    """``stage("train")``: put a stand-in under ``milmer_cli.stages.train.train``.

    It needs no backbone.
    """
    monkeypatch.setattr(local_backbones, "require_backbone", lambda *_: None)
    monkeypatch.setitem(FORMATS, FakeResult.format_name, Format("the result of a stand-in"))

    def stage(name: str, error: BaseException | None = None, module: str = "") -> Stage:
        stand_in = Stage(error)
        module = module or f"milmer_cli.stages.{name}"
        fake = ModuleType(module)
        setattr(fake, name, stand_in)
        monkeypatch.setitem(sys.modules, module, fake)
        return stand_in

    return stage
