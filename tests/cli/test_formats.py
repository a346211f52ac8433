"""``milmer formats``: the documents and their schemas."""

import json

from milmer_cli.formats import FORMATS, json_schema


def test_formats_lists_every_document_with_its_version(milmer):
    lines = milmer("formats").out.splitlines()
    assert [line.split()[0] for line in lines] == list(FORMATS)
    store = next(line for line in lines if line.startswith("store-index "))
    assert "version 3, reads 1 to 3: STORE/index.json" in store


def test_formats_json_contains_the_schemas(milmer):
    found = milmer("formats", "--json").document["formats"]
    assert found["audit"]["schema"] == json_schema("audit")
    assert list(found) == list(FORMATS)


def test_formats_prints_a_schema(milmer):
    assert json.loads(milmer("formats", "prediction").out) == json_schema("prediction")


def test_formats_names_the_nearest_document(milmer):
    outcome = milmer("formats", "evalution")
    assert outcome.code == 2
    assert "Did you mean evaluation?" in outcome.err
