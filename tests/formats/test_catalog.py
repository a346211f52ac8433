"""The catalog of JSON documents, their schemas, and docs/formats.md agree."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from milmer_cli.cli.app import _load_command
from milmer_cli.formats import FORMATS, json_schema
from milmer_cli.formats.catalog import SCHEMAS
from milmer_cli.json_files import read_json

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "milmer_cli"
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")

# Writers of JSON without a version of Milmer, and why.
UNVERSIONED = {
    "json_files.py": "defines them",
    "formats/documents.py": "adds the version",
    "cli/console.py": "adds the version",
    "cli/settings.py": "JSON Schema",
    "cli/formats.py": "JSON Schema",
    "datasets/bids/writer.py": "BIDS",
    "datasets/synthetic/listed/bids_writer.py": "BIDS",
    "models/image_processor.py": "transformers",
    "evaluation/result_cache.py": "text in an archive with its own version",
    "folder_lock.py": "removed at the end",
    "prediction/batch.py": "read only to resume; contains the identity of the work",
    "store/cache.py": "read only to resume; its name contains the identity of the work",
    "store/checksums.py": "removed at the end",
    "training/checkpoints.py": "removed at the end",
    "training/run_marker.py": "removed at the end",
}


def nested(schema: object) -> Iterator[dict]:
    """All schemas of objects within a schema."""
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            yield schema
        for value in schema.values():
            yield from nested(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nested(value)


def test_every_format_has_a_schema():
    assert sorted(path.stem for path in SCHEMAS.glob("*.json")) == sorted(FORMATS)


@pytest.mark.parametrize("name", FORMATS)
def test_schema_describes_the_written_version(name):
    schema, entry = json_schema(name), FORMATS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["format"]["const"] == entry.version
    assert schema["required"][0] == "format"
    assert schema["title"] == name
    assert 1 <= entry.oldest <= entry.version
    assert entry.file or entry.printed


@pytest.mark.parametrize("name", FORMATS)
def test_schema_allows_no_other_keys(name):
    for schema in nested(json_schema(name)):
        assert schema["additionalProperties"] in (False, {"type": "integer"})
        assert schema["required"]


@pytest.mark.parametrize("path", sorted((PACKAGE / "data" / "deap_splits").glob("*.json")))
def test_published_splits_match_their_schema(path):
    jsonschema.validate(read_json(path), json_schema("named-splits"))


def test_page_lists_every_document_with_its_versions():
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(\S+\) \| (\d+) \| ([\d to-]+) \|", PAGE, re.MULTILINE)
    expected = []
    for name, entry in FORMATS.items():
        oldest = f"{entry.oldest} to " if entry.oldest < entry.version else ""
        reads = f"{oldest}{entry.version}" if entry.file else "-"
        expected.append((name, str(entry.version), reads))
    assert rows == expected


def test_page_states_content_and_place_of_every_document():
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(.*?\) \| .*? \| .*? \| (.*?) \|$", PAGE, re.MULTILINE)
    expected = []
    for name, entry in FORMATS.items():
        command = entry.printed.replace("|", "\\|")
        printed = f"`{command} --json`" if command.startswith("milmer") else command or "-"
        expected.append((name, f"{entry.meaning} | {entry.file or '-'} | {printed}"))
    assert rows == expected


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.printed])
def test_document_is_printed_by_a_command_that_exists(name):
    words = FORMATS[name].printed.split()
    if words[0] != "milmer":  # every command
        return
    command: Any = _load_command(words[1])
    if subcommands := getattr(command, "commands", {}):
        names = [word for part in words[2:] for word in part.split("|") if not word.isupper()]
        named = [subcommands[name] for name in names if not name.startswith("-")]
        command = named[0] if named else next(iter(subcommands.values()))
    flags = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= flags


@pytest.mark.parametrize(
    ("page", "heading", "names"),
    [
        ("evaluation", "### Statistics in metrics.json", ("evaluation",)),
        (
            "training",
            "## Before a long training: `--dry-run`",
            ("train-dry-run", "evaluate-dry-run"),
        ),
        ("audit", "## JSON document", ("audit",)),
    ],
)
def test_pages_name_keys_that_the_documents_have(page, heading, names):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    section = text.partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    keys = {
        key for cell in cells for path in re.findall(r"`([\w.]+)`", cell) for key in path.split(".")
    }
    schemas = [schema for name in names for schema in nested(json_schema(name))]
    assert len(keys) >= 10
    assert keys <= {key for schema in schemas for key in schema["properties"]}


def test_page_states_what_this_version_reads():
    store, splits = FORMATS["store-index"], FORMATS["splits"]
    reads = f"{store.oldest} to {store.version} (writes {store.version}) | {splits.version}"
    assert f"| 0.1.0 | {reads} | 1 |" in PAGE
    others = (
        "run-environment", "run-metrics", "bundle", "bundle-metrics", "bundle-sources",
        "evaluation", "prediction", "audit",
    )  # fmt: skip
    assert {FORMATS[name].version for name in others} == {1}


def calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {ast.unparse(function) for function in found}


def test_every_writer_of_json_adds_the_version():
    writers = {"write_json", "json_text", "json.dump"}
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if calls(path) & writers
    }
    assert users == set(UNVERSIONED)


def test_every_result_of_a_stage_names_its_format():
    names = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and "StageResult" in map(ast.unparse, node.bases):
                values = {
                    ast.unparse(item.target): ast.literal_eval(item.value)
                    for item in node.body
                    if isinstance(item, ast.AnnAssign)
                    and ast.unparse(item.target) == "format_name"
                    and item.value
                }
                names.append(values.get("format_name", node.name))
    assert len(names) >= 20
    assert set(names) <= set(FORMATS)
    assert all(FORMATS[name].printed for name in names)
