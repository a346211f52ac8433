"""The example of docs/export.md runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def test_example_runs(tmp_path, untrained_run, monkeypatch):
    shutil.copytree(untrained_run, tmp_path / "runs" / "first")
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(example, PAGE.name, "exec"), {})
    assert (tmp_path / "model.zip").is_file()
