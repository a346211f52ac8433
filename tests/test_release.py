"""The release script: versions, dates and a refused repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import milmer_cli

ROOT = Path(__file__).parents[1]
FILES = ("CHANGELOG.md", "CITATION.cff", "milmer_cli/__init__.py")


@pytest.fixture
def release(monkeypatch):
    """The module of release/release.py."""
    monkeypatch.syspath_prepend(str(ROOT / "release"))
    import release

    return release


@pytest.fixture
def repository(release, monkeypatch, tmp_path):
    """A git repository with the files that state the version; 0.1.0 is not released yet."""
    root = tmp_path / "repository"
    (root / "milmer_cli").mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    changelog = "# Changelog\n\n## 0.1.0 (unreleased)\n\n## 0.0.1 - 2020-01-01\n"
    (root / "CHANGELOG.md").write_text(changelog)
    (root / "CITATION.cff").write_text("title: Milmer\nversion: 0.1.0\nlicense: MIT\n")
    (root / "milmer_cli" / "__init__.py").write_text('__version__ = "0.1.0"\n')
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "First"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    subprocess.run(["git", "config", "user.name", "Test"], cwd=root, check=True)
    subprocess.run(["git", "config", "user.email", "test@example.org"], cwd=root, check=True)
    monkeypatch.setattr(release, "ROOT", root)
    return root


def test_version_is_the_same_everywhere():
    version = milmer_cli.__version__
    sections = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert [sections[0], citation["version"]] == [version, version]


def test_release_dates_commits_and_tags(release, repository):
    release.require_version("0.1.0")
    release.require_clean_repository("0.1.0")
    release.tag("0.1.0")
    changelog = (repository / "CHANGELOG.md").read_text()
    assert re.search(r"^## 0\.1\.0 - \d{4}-\d\d-\d\d\n\n## 0\.0\.1 - 2020-01-01$", changelog, re.M)
    assert "date-released" in yaml.safe_load((repository / "CITATION.cff").read_text())
    assert release.git("tag") == "v0.1.0"
    assert release.git("status", "--porcelain") == ""
    with pytest.raises(SystemExit, match=r"tag v0\.1\.0 exists"):
        release.require_clean_repository("0.1.0")


@pytest.mark.parametrize("name", FILES)
def test_release_refuses_a_file_with_another_version(release, repository, name):
    path = repository / name
    path.write_text(path.read_text().replace("0.1.0", "0.2.0"))
    with pytest.raises(SystemExit, match=name):
        release.require_version("0.1.0")


def test_release_refuses_uncommitted_changes(release, repository):
    (repository / "new.py").write_text("")
    with pytest.raises(SystemExit, match=r"new\.py"):
        release.require_clean_repository("0.1.0")
