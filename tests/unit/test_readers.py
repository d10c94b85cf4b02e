"""Readers: every format, and the message for every way a file can be wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.readers import ReadOptions, read_records
from pipelines.errors import DataError

ROWS = [{"text": "a fine, fine film", "label": "good"}, {"text": "déjà vu", "label": "bad"}]


def read(path: Path, **options) -> list[dict]:
    return [record.fields for record in read_records(path, ReadOptions(**options))]


def write(path: Path, content: str | bytes) -> Path:
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


CONTENT = {
    ".csv": 'text,label\n"a fine, fine film",good\ndéjà vu,bad\n',
    ".tsv": "text\tlabel\na fine, fine film\tgood\ndéjà vu\tbad\n",
    ".jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS),
}


@pytest.mark.parametrize("zipped", ["", ".gz"])
@pytest.mark.parametrize("kind", CONTENT)
def test_text_formats_plain_and_gzipped(tmp_path: Path, kind: str, zipped: str) -> None:
    assert read(write(tmp_path / f"rows{kind}{zipped}", CONTENT[kind])) == ROWS


@pytest.mark.parametrize("zipped", ["", ".gz"])
def test_parquet_plain_and_gzipped(tmp_path: Path, zipped: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    path = write(tmp_path / f"rows.parquet{zipped}", sink.getvalue())
    assert read(path) == ROWS
    assert [record.line for record in read_records(path)] == [1, 2]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_in_the_header(tmp_path: Path, delimiter: str) -> None:
    text = f"text{delimiter}label\ngood one{delimiter}1\n"
    assert read(write(tmp_path / "rows.csv", text)) == [{"text": "good one", "label": "1"}]


def test_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", b"\xef\xbb\xbftext,label\r\nfine,1\r\n\r\nbad,0\r\n")
    assert read(path) == [{"text": "fine", "label": "1"}, {"text": "bad", "label": "0"}]


def test_lines_are_those_on_which_rows_start(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", 'text,label\n"one\ntwo\nthree",1\n\nfour,0\n')
    assert [(row.line, row.fields["text"]) for row in read_records(path)] == [
        (2, "one\ntwo\nthree"),
        (6, "four"),
    ]


def test_without_header_columns_are_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "fine film,1\nbad film,0\n")
    assert read(path, header=False)[0] == {"1": "fine film", "2": "1"}


def test_ordinary_quotes_in_a_tsv_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.tsv", 'text\tlabel\n"Heat" is hot\t1\n"unclosed\t0\nx\t1\n')
    assert [row["text"] for row in read(path)] == ['"Heat" is hot', '"unclosed', "x"]


def test_quoted_fields_in_a_tsv_are_unquoted(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.tsv", 'text\tlabel\n"a\tb ""c"""\t1\n')
    assert read(path) == [{"text": 'a\tb "c"', "label": "1"}]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), st.text("ab")),
        min_size=1,
    )
)
def test_csv_written_by_the_standard_library_reads_back(tmp_path_factory, rows) -> None:
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    assert [tuple(row.values()) for row in read(path)] == rows


def message(path: Path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_file_names_the_closest(tmp_path: Path) -> None:
    write(tmp_path / "reviews.csv", "text,label\n")
    assert "no such file; did you mean 'reviews.csv'?" in message(tmp_path / "review.csv")
    assert "nor its folder" in message(tmp_path / "absent" / "x.csv")


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    assert "this is a folder, expected a file" in message(tmp_path)


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_file(tmp_path: Path, content: str) -> None:
    found = message(write(tmp_path / "rows.csv", content))
    assert "expected a header" in found and ("empty" in found or "blank" in found)


def test_ragged_row(tmp_path: Path) -> None:
    found = message(write(tmp_path / "rows.csv", 'text,label\n"a\nb",1\nc, d,0\n'))
    assert ":4: 3 fields, expected 2 (text, label); the row reads 'c |  d | 0'" in found
    assert "--delimiter" in found


def test_quote_never_closed(tmp_path: Path) -> None:
    found = message(write(tmp_path / "rows.csv", 'text,label\nfine,1\n"open,0\nmore,1\n'))
    assert ":3: cannot split this row into fields" in found and "--quotes no" in found


def test_wrong_encoding_names_byte_line_and_option(tmp_path: Path) -> None:
    content = b"text,label\n" + b"fine,1\n" * 300_000 + "caf\u00e9,0\n".encode("latin-1")
    path = write(tmp_path / "rows.csv", content)
    found = message(path)
    offset = content.index(b"\xe9")
    assert f":300002: byte 0xe9 at offset {offset} is not utf-8" in found
    assert "--encoding cp1252 or --encoding latin-1" in found
    assert read(path, encoding="latin-1")[-1]["text"] == "café"


def test_unknown_encoding(tmp_path: Path) -> None:
    found = message_without_path(write(tmp_path / "rows.csv", "text,label\n"), encoding="latin1x")
    assert "unknown encoding 'latin1x'; did you mean 'latin-1'?" in found


def message_without_path(path: Path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\x1f\x8brest", "ends in .gz"),
        (b"PAR1", "ends in .parquet"),
        (b"text\0\1\2", "byte 4 is NUL, as in a binary file"),
        ("text,label\n".encode("utf-16"), "give --encoding utf-16"),
    ],
)
def test_binary_files(tmp_path: Path, head: bytes, what: str) -> None:
    assert what in message(write(tmp_path / "rows.csv", head))


def test_nul_far_into_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "text,label\n" + "fine,1\n" * 2000 + "b\0d,0\n")
    assert ":2002: a NUL character" in message(path)


def test_utf16_is_read_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", CONTENT[".csv"].encode("utf-16"))
    assert read(path, encoding="utf-16") == ROWS


def test_damaged_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(CONTENT[".csv"].encode() * 100)
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(whole[:-20])
    assert "damaged or not gzip-compressed" in message(path)
    path.write_bytes(b"text,label\n")
    assert "drop .gz from its name" in message(path)


def test_damaged_parquet(tmp_path: Path) -> None:
    found = message(write(tmp_path / "rows.parquet", b"PAR1 is not enough"))
    assert "not a readable parquet file" in found


@pytest.mark.parametrize("line", ["{oops}", "[1, 2]", '"text"'])
def test_bad_json_line(tmp_path: Path, line: str) -> None:
    found = message(write(tmp_path / "rows.jsonl", '{"text": "a"}\n\n' + line + "\n"))
    assert ":3: not a JSON object" in found and "one object a line" in found


def test_unknown_format_lists_the_known(tmp_path: Path) -> None:
    found = message(write(tmp_path / "rows.cvs", "text,label\n"))
    assert "unknown file format '.cvs'; did you mean '.csv'?" in found and ".parquet" in found


def test_header_that_names_a_column_twice(tmp_path: Path) -> None:
    found = message(write(tmp_path / "rows.csv", "text,text\na,b\n"))
    assert ":1: the header names column 'text' twice" in found and "--no-header" in found


def test_field_longer_than_the_csv_default(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", "text,label\n" + "x" * 200_000 + ",1\n")
    assert len(read(path)[0]["text"]) == 200_000
