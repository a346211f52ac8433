from __future__ import annotations

import pytest

from milmer_cli.datasets.table import TableErrors, positive_integer, read_table
from milmer_cli.errors import InputError


def _read(path, content, required=(("a",),), allowed=None):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    errors = TableErrors(path, "Look at the example.")
    return read_table(errors, required, allowed), errors


@pytest.mark.parametrize(
    "content",
    [
        "A,B\n1, x \n",
        "a;b\n1;x\n",
        b"\xef\xbb\xbfa,b\r\n1,x\r\n",
        "# comment\n\na,b\n# comment\n\n1,x\n ,\n",
        'a,b\n"1","x"\n',
    ],
)
def test_read_table_dialects(tmp_path, content):
    rows, _ = _read(tmp_path / "t.csv", content)
    assert [row.cells for row in rows] == [{"a": "1", "b": "x"}]


def test_read_table_short_rows_have_empty_cells(tmp_path):
    rows, _ = _read(tmp_path / "t.csv", "a,b,c\n1\n")
    assert rows[0].cells == {"a": "1", "b": "", "c": ""}


def test_read_table_header_errors_are_reported_together(tmp_path):
    with pytest.raises(InputError) as error:
        _read(
            tmp_path / "t.csv",
            "# comment\nonset,b,b,#note\n1,2,3,4\n",
            [("a",), ("c", "d")],
            ["a", "b", "c", "onset_s"],
        )
    for text in (
        "has 4 errors",
        "row 2: unknown column onset; did you mean onset_s?",
        "row 2: column b occurs more than once",
        "row 2: column a is missing",
        "row 2: column c or d is missing",
    ):
        assert text in error.value.message
    assert error.value.hint == "Look at the example."


def test_table_row_errors_are_collected(tmp_path):
    rows, errors = _read(tmp_path / "t.csv", "a,b\n0,\n2,x,y\n")
    values = [row.value("a", positive_integer, "1, 2, 3, ...") for row in rows]
    assert values == [None, 2]
    assert rows[0].required("b") == ""
    assert rows[1].file("b") is None
    with pytest.raises(InputError) as error:
        errors.raise_if_any()
    for text in (
        "row 2: a: expected 1, 2, 3, ..., got '0'",
        "row 2: b is empty",
        "row 3: expected at most 2 cells (header), got 3",
        f"row 3: there is no b file {tmp_path / 'x'}",
    ):
        assert text in error.value.message


def test_table_errors_limits_the_list(tmp_path):
    errors = TableErrors(tmp_path / "t.csv", "")
    for line in range(80):
        errors.add(line, "wrong")
    with pytest.raises(InputError, match="has 80 errors") as error:
        errors.raise_if_any()
    assert error.value.message.endswith("and 30 more")


def test_read_table_rejects_an_unreadable_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read: it is not text in UTF-8"):
        _read(tmp_path / "t.csv", b"\xff\xfe\x00table")
