"""Documents are written with their version, and those of unknown versions are refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from milmer_cli.data.split_file import _read as read_splits
from milmer_cli.datasets.synthetic.config import read_truth
from milmer_cli.errors import InputError
from milmer_cli.formats import FORMATS, Format, read_document, versioned, write_document
from milmer_cli.formats.documents import check_version
from milmer_cli.json_files import write_json
from milmer_cli.models.face_crop import _read as read_face_crop
from milmer_cli.store.index import read_index


@pytest.fixture(autouse=True)
def _example(monkeypatch):
    entry = Format("an example", "example.json", version=4, oldest=2)
    monkeypatch.setitem(FORMATS, "example", entry)


def test_versioned_puts_the_version_first():
    document = versioned("example", {"a": 1, "format": 9})
    assert list(document.items()) == [("format", 4), ("a", 1)]


def test_document_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "example.json"
    write_document(path, "example", {"a": float("nan")})
    assert json.loads(path.read_text()) == {"format": 4, "a": None}
    assert read_document(path, "example", ["a"]) == {"a": None}


def test_document_without_a_key_is_refused(tmp_path):
    write_document(tmp_path / "example.json", "example", {})
    with pytest.raises(InputError, match="has no a"):
        read_document(tmp_path / "example.json", "example", ["a"])


@pytest.mark.parametrize("version", [1, 5, "4", True, None, 2.0])
def test_document_of_an_unknown_version_is_refused(tmp_path, version):
    write_json(tmp_path / "example.json", {"format": version})
    expected = f"example.json has format {version!r}, expected format 2 to 4."
    with pytest.raises(InputError) as caught:
        read_document(tmp_path / "example.json", "example", ["a"])
    assert caught.value.message.endswith(expected)
    assert caught.value.hint.startswith("Update Milmer")


def test_document_without_a_version_is_version_1(monkeypatch):
    check_version(Path("metrics.json"), "run-metrics", {})
    with pytest.raises(InputError, match="has format 1"):
        check_version(Path("example.json"), "example", {})


READERS: dict[str, Callable[[Path], object]] = {
    "face-crop": read_face_crop,
    "splits": read_splits,
    "store-index": lambda path: read_index(path.parent),
}
CONTENT = {"cropped": {}, "align": True, "classes": [], "label_rule": "", "store": {}, "trials": []}


@pytest.mark.parametrize("name", READERS)
def test_readers_refuse_a_newer_version(tmp_path, name):
    path = tmp_path / "index.json"
    newer = FORMATS[name].version + 1
    write_json(path, {**CONTENT, "format": newer})
    with pytest.raises(InputError, match=rf"format \d.* {newer}|format {newer}"):
        READERS[name](path)


def test_truth_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    from milmer_cli.datasets.synthetic.config import SyntheticConfig, SyntheticTruth, write_truth

    write_truth(tmp_path / "truth.json", SyntheticTruth(SyntheticConfig(), ()))
    assert read_truth(tmp_path / "truth.json").participants == ()
    monkeypatch.setitem(FORMATS, "synthetic-truth", Format("truth", "truth.json", version=0))
    with pytest.raises(InputError, match="has format 1"):
        read_truth(tmp_path / "truth.json")
