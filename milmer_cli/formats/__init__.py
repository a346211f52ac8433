"""The JSON documents that Milmer writes and prints, with the versions of their formats.

- `catalog`: one entry per JSON document: name, version, versions that can be read, place
- `documents`: write a document with its version, and read one that is not newer than this program
- `schemas`: the JSON Schema of each document

To add a document: add it to `catalog.FORMATS` and to ``docs/formats.md``, write
``schemas/NAME.json``, and write the document with `documents.write_document`.

To change a document: increase its version in `catalog.FORMATS` and edit its schema. Keep the old
version readable, or name the first version that can be read.
"""

from milmer_cli.formats.catalog import FORMATS, KEY, Format, json_schema
from milmer_cli.formats.documents import (
    check_version,
    read_document,
    versioned,
    write_document,
)

__all__ = [
    "FORMATS",
    "KEY",
    "Format",
    "check_version",
    "json_schema",
    "read_document",
    "versioned",
    "write_document",
]
