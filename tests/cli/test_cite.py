"""``milmer cite``: what to cite, by data set; the references agree with README and CITATION.cff."""

import re
from pathlib import Path

import pytest
import yaml

from milmer_cli.formats import write_document
from milmer_cli.references import ALWAYS, BY_DATA_SET, DEAP, PAPER, SOFTWARE, Reference

ROOT = Path(__file__).parents[2]
EVERY = [*ALWAYS, *(work for works in BY_DATA_SET.values() for work in works)]


def keys(document) -> list[str]:
    return [work["key"] for work in document["references"]]


def test_cite_lists_the_paper_and_the_software(milmer):
    outcome = milmer("cite")
    assert outcome.code == 0
    for text in ("Wang et al. (2025)", "MNE-Python", "Swin Transformer", "The Milmer maintainers"):
        assert text in outcome.out
    assert keys(milmer("cite", "--json").document) == [work.key for work in ALWAYS]


@pytest.mark.parametrize("name", BY_DATA_SET)
def test_cite_adds_the_data_set(milmer, name):
    outcome = milmer("cite", "--data-set", name, "--json")
    assert keys(outcome.document)[len(ALWAYS) :] == [work.key for work in BY_DATA_SET[name]]


def test_cite_uses_the_data_set_of_the_store_and_of_the_run(milmer, tmp_path):
    folders = {name: tmp_path / name for name in ("store", "run")}
    for folder in folders.values():
        folder.mkdir()
    index = {"data_set": "EAV", "settings": {}, "participants": {}}
    write_document(folders["store"] / "index.json", "store-index", index)
    (folders["run"] / "environment.json").write_text('{"format": 1, "store": {"data_set": "DEAP"}}')
    flags = ("--prepared", folders["store"], "--run", folders["run"])
    found = keys(milmer("cite", *flags, "--json").document)
    assert found[len(ALWAYS) :] == ["lee2024eav", "koelstra2012deap"]


def test_cite_states_if_the_data_set_is_unknown(milmer, tmp_path):
    index = {"data_set": "", "settings": {}, "participants": {}}
    write_document(tmp_path / "index.json", "store-index", index)
    outcome = milmer("cite", "--prepared", tmp_path, "--json")
    assert keys(outcome.document) == [work.key for work in ALWAYS]
    assert "does not record its data set" in outcome.document["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data-set", "SEED"], "--data-set: expected one of DEAP, EAV"),
        (["--bibtex", "--json"], "--bibtex and --json cannot be combined"),
        (["--run", "."], "Hint: Give a folder that `milmer train` wrote"),
        (["--prepared", "."], "Hint: Give a folder that `milmer prepare` wrote"),
    ],
)
def test_cite_refuses(milmer, arguments, message):
    outcome = milmer("cite", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


def parsed(bibtex: str) -> dict[str, dict[str, str]]:
    """BibTeX key -> fields, with spaces and braces normalized."""
    entries = {}
    for _, key, body in re.findall(r"^@(\w+)\{([\w-]+),\n(.*?)^\}", bibtex, re.M | re.S):
        fields = re.findall(r"^\s+(\w+)\s*=\s*\{(.*?)\},?$", body, re.M | re.S)
        plain = {name: " ".join(re.sub(r"[{}]", "", value).split()) for name, value in fields}
        entries[key] = {name: value.replace('\\"u', "ü") for name, value in plain.items()}
    return entries


def test_bibtex_contains_every_field(milmer):
    every = [word for name in BY_DATA_SET for word in ("--data-set", name)]
    entries = parsed(milmer("cite", *every, "--bibtex").out + "\n")
    assert list(entries) == [work.key for work in EVERY]
    for work in EVERY:
        expected = {"title": work.title, "author": " and ".join(work.authors), **work.fields}
        expected |= {"year": work.year} if work.year else {}
        assert entries[work.key] == expected


@pytest.mark.parametrize("work", EVERY, ids=lambda work: work.key)
def test_published_works_can_be_found(work: Reference):
    fields = work.fields
    if work.entry_type == "software" or "arXiv" in fields.get("journal", ""):
        return
    assert re.fullmatch(r"10\.\d{4,5}/[\w./-]+", fields["doi"])
    if work.entry_type == "article":
        assert fields["volume"].isdecimal()
        assert re.fullmatch(r"\d+(--\d+)?", fields["pages"])


@pytest.mark.parametrize("work", [PAPER, DEAP], ids=lambda work: work.key)
def test_readme_has_the_reference(work: Reference):
    entry = parsed((ROOT / "README.md").read_text(encoding="utf-8"))[work.key]
    expected = {"title": work.title, "author": " and ".join(work.authors), "year": work.year}
    known = expected | dict(work.fields)
    assert set(expected) <= set(entry) <= set(known)
    assert entry == {name: known[name] for name in entry}


def test_citation_file_has_the_references():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["title"], citation["version"]) == (SOFTWARE.title, SOFTWARE.fields["version"])
    for listed, work in zip(citation["references"], (PAPER, DEAP), strict=True):
        names = [
            f"{author['family-names']}, {author['given-names']}" for author in listed["authors"]
        ]
        assert (listed["title"], tuple(names)) == (work.title, work.authors)
        assert str(listed["year"]) == work.year
        assert listed["journal"] == work.fields["journal"]
        pages = f"{listed['start']}--{listed['end']}" if "start" in listed else ""
        found = {"doi": "doi", "volume": "volume", "issue": "number", "url": "url"}
        for field, own in found.items():
            if field in listed:
                assert str(listed[field]) == work.fields[own]
        assert pages == work.fields.get("pages", "")
