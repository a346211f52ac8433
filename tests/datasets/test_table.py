from __future__ import annotations

import pytest

from milmer_cli.datasets.table import (
    MAX_INTEGER,
    POSITIVE_INTEGER,
    TableErrors,
    finite_number,
    nonnegative_number,
    positive_integer,
    read_table,
)
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
        "a\tb\n1\tx\n",
        "a|b\n1|x\n",
        "sep=;\r\na;b\r\n1;x\r\n",
        "a,b\n1,x\n".encode("utf-16"),
        "a,b\n1,x\n".encode("utf-16-le"),
        "a,b\n1,x\n".encode("utf-16-be"),
        "a,b,,\n1,x,,\n,,,\n,,,\n",
        "a,b\n1,x,,\n",
        "a,b\r1,x\r",
    ],
)
def test_read_table_dialects(tmp_path, content):
    rows, _ = _read(tmp_path / "t.csv", content)
    cells = [{name: cell for name, cell in row.cells.items() if name} for row in rows]
    assert cells == [{"a": "1", "b": "x"}]


@pytest.mark.parametrize("index", ["", "Unnamed: 0"])
def test_read_table_ignores_the_index_of_pandas(tmp_path, index):
    rows, errors = _read(tmp_path / "t.csv", f"{index},a,b\n0,1,x\n1,2,y\n", allowed=["a", "b"])
    assert [(row.text("a"), row.text("b")) for row in rows] == [("1", "x"), ("2", "y")]
    assert not errors.found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_read_table_decodes_names(tmp_path, encoding):
    rows, _ = _read(tmp_path / "t.csv", "a,b\nJos\u00e9,M\u00fcller\n".encode(encoding))
    assert (rows[0].text("a"), rows[0].text("b")) == ("Jos\u00e9", "M\u00fcller")


def test_read_table_keeps_line_ends_and_comments_in_quotes(tmp_path):
    rows, errors = _read(
        tmp_path / "t.csv", 'a,b\n"1\n# no comment\n",x\n# comment\n2,y\n,\n3,z,w\n'
    )
    assert [row.text("a") for row in rows] == ["1\n# no comment", "2", "3"]
    assert [row.line for row in rows] == [4, 6, 8]
    assert list(errors.found) == [(8, "expected at most 2 cells (header), got 3")]


@pytest.mark.parametrize("content", ["a;b\n1,5;2\n", "a\tb\n1,5\t2\n"])
def test_table_row_reads_decimal_commas_unless_the_comma_separates(tmp_path, content):
    rows, _ = _read(tmp_path / "t.csv", content)
    assert rows[0].value("a", finite_number, "a number") == 1.5
    rows, errors = _read(tmp_path / "t.csv", 'a,b\n"1,5",2\n')
    assert rows[0].value("a", finite_number, "a number") is None
    assert errors.found


@pytest.mark.parametrize("text", ["", "nan", "NaN", "NA", "N/A", "<NA>", "#N/A", "None", "NULL"])
def test_table_row_missing_numbers_and_files_are_none(tmp_path, text):
    rows, errors = _read(tmp_path / "t.csv", f"b,a\nx,{text}\n")
    assert rows[0].value("a", finite_number, "a number") is None
    assert rows[0].file("a") is None
    assert not errors.found


def test_table_row_names_may_be_spelled_like_missing_numbers(tmp_path):
    rows, _ = _read(tmp_path / "t.csv", "a,b\nNA,None\nnan,x\n")
    assert [row.text("a") for row in rows] == ["NA", ""]


@pytest.mark.parametrize(
    "text",
    [
        "inf",
        "-Infinity",
        "1_0",
        "\u0661",
        "\uff11",
        "0x10",
        "1e400",
        "1,5",
        "1 000",
        "five",
        "1e",
        ".",
    ],
)
def test_finite_number_rejects(text):
    with pytest.raises(ValueError, match=r".*"):
        finite_number(text)


@pytest.mark.parametrize(("text", "value"), [("1e3", 1000), ("+.5", 0.5), ("-2.", -2), ("007", 7)])
def test_finite_number_accepts(text, value):
    assert finite_number(text) == value


def test_nonnegative_number_rejects_a_negative_one():
    with pytest.raises(ValueError, match="-1"):
        nonnegative_number("-1")


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "1.5",
        "1e3",
        "1_0",
        "3000000000",
        "2147483648",
        "9" * 5000,
        "\u0663",
        "nan",
        "1,0",
    ],
)
def test_positive_integer_rejects(text):
    with pytest.raises(ValueError, match=r".*"):
        positive_integer(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1.0", 1), ("12.", 12), ("+3", 3), ("007", 7), ("2147483647", MAX_INTEGER)],
)
def test_positive_integer_accepts(text, value):
    assert positive_integer(text) == value


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
    values = [row.value("a", positive_integer, POSITIVE_INTEGER) for row in rows]
    assert values == [None, 2]
    assert rows[0].required("b") == ""
    assert rows[1].file("b") is None
    with pytest.raises(InputError) as error:
        errors.raise_if_any()
    for text in (
        "row 2: a: expected 1, 2, 3, ... (at most 2147483647), got '0'",
        "row 2: b is empty",
        "row 3: expected at most 2 cells (header), got 3",
        f"row 3: there is no b file {tmp_path / 'x'}",
    ):
        assert text in error.value.message


def test_table_errors_limits_the_list(tmp_path):
    errors = TableErrors(tmp_path / "t.csv", "")
    for line in range(80):
        errors.add(line, f"wrong {line}")
    with pytest.raises(InputError, match="has 80 errors") as error:
        errors.raise_if_any()
    assert error.value.message.endswith("and 30 more")


def test_table_errors_lists_rows_with_the_same_error_together(tmp_path):
    errors = TableErrors(tmp_path / "t.csv", "")
    for line in (2, 3, 4, 7):
        errors.add(line, "a is empty")
    errors.add(3, "b is empty")
    with pytest.raises(InputError) as error:
        errors.raise_if_any()
    assert error.value.message.splitlines() == [
        f"{tmp_path / 't.csv'} has 5 errors:",
        "  rows 2-4, 7: a is empty",
        "  row 3: b is empty",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00tabl", "it is not text in UTF-8"),
        (b"a,b\n1,\x00\n", "row 2 contains a NUL byte"),
        (b"a,b\n1,2\n\x07,1\n", "row 3 contains the control character 7"),
        (b"PK\x03\x04rest", r"Excel workbook \(\.xlsx\)"),
        (b"\xd0\xcf\x11\xe0rest", r"Excel workbook \(\.xls\)"),
    ],
)
def test_read_table_rejects_an_unreadable_file(tmp_path, content, message):
    with pytest.raises(InputError, match=f"cannot be read: .*{message}"):
        _read(tmp_path / "t.csv", content)


@pytest.mark.parametrize("content", ["a,b\n1,2\n{long},2\n", 'a,b\n1,2\n"{long}\n'])
def test_read_table_names_the_row_of_a_cell_that_is_too_long(tmp_path, content):
    with pytest.raises(InputError, match=r"t\.csv has 1 error:\n  row 3: a cell has more than"):
        _read(tmp_path / "t.csv", content.format(long="x" * 200_000))


def test_table_row_shortens_cells_in_messages(tmp_path):
    rows, errors = _read(tmp_path / "t.csv", f"a,b\n{'x' * 100_000},{'y' * 5000}\n")
    rows[0].value("a", finite_number, "a number")
    rows[0].file("b")
    assert len(errors.found) == 2
    assert max(len(message) for _, message in errors.found) < 250
