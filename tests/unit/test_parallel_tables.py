"""Tables of pairs: which columns are taken, and what is said when that is not clear."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.parallel_tables import read_pair_table
from pipelines.datasets.remarks import Remarks
from pipelines.errors import DataError

OPTIONS = ParallelOptions()
PAIR = [("Go.", "Va !")]


def read(path: Path, text: str = "", **options: str) -> list[RawPair]:
    if text:
        path.write_text(text, encoding=options.get("encoding", "utf-8"), newline="")
    return list(read_pair_table(path, ParallelOptions(**options), Remarks()))  # type: ignore[arg-type]


def texts(path: Path, text: str = "", **options: str) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in read(path, text, **options)]


@pytest.mark.parametrize(
    "header",
    [
        "en\tfr",
        "EN\tFR",
        "en-GB\tfr_FR",
        "English\tFrench",
        "text_en\ttext_fr",
        "en:text\tfr text",
        "source\ttarget",
        "src\ttgt",
        "Source\tTarget",
        "source_text\ttarget_text",
    ],
)
def test_columns_are_found_by_name(tmp_path: Path, header: str) -> None:
    assert texts(tmp_path / "a.tsv", f"{header}\nGo.\tVa !\n") == PAIR
    comma = header.replace("\t", ",")
    assert texts(tmp_path / "a.csv", f"id,{comma}\n7,Go.,Va !\n") == PAIR


def test_language_beats_a_usual_name_and_chooses_the_direction(tmp_path: Path) -> None:
    rows = "source,en,fr,de\nnews,Go.,Va !,Geh!\n"
    assert texts(tmp_path / "a.csv", rows) == PAIR
    german = texts(tmp_path / "a.csv", source_language="de", target_language="en")
    assert german == [("Geh!", "Go.")]


def test_columns_asked_for_by_name_or_number(tmp_path: Path) -> None:
    path, rows = tmp_path / "a.csv", "a,b,c\n1,Go.,Va !\n"
    assert texts(path, rows, source_column="b", target_column="c") == PAIR
    rows = "id,en,fr,fr2\n1,Go.,x,Va !\n"
    assert texts(path, rows, source_column="2", target_column="4") == PAIR
    plain = tmp_path / "b.tsv"
    assert texts(plain, "1\tGo.\t2\tVa !\n", source_column="2", target_column="4") == PAIR


def test_first_line_may_be_a_pair(tmp_path: Path) -> None:
    rows = "Go.\tVa !\tCC-BY 2.0 (France)\nHi.\tSalut.\tCC-BY 2.0 (France)\n"
    pairs = read(tmp_path / "fra.txt", rows)
    path = tmp_path / "fra.txt"
    assert pairs == [
        RawPair("Go.", "Va !", "", f"{path}:1"),
        RawPair("Hi.", "Salut.", "", f"{path}:2"),
    ]
    # Words of the sentence are the codes of the languages, but it is no header.
    rows = "Il en vient, dit-il.\tHe comes from there, he said.\n"
    (pair,) = texts(tmp_path / "b.tsv", rows, source_language="fr", target_language="en")
    assert pair[0].startswith("Il en vient")
    words = tmp_path / "c.tsv"
    assert texts(words, "go\tva\n", source_column="1", target_column="2") == [("go", "va")]


def test_quotes_and_line_ends_within_fields(tmp_path: Path) -> None:
    rows = 'en,fr\n"Go, he\nsaid ""now"".","Va,\tdit-il."\n'
    (pair,) = read(tmp_path / "a.csv", rows)
    assert pair.source == 'Go, he\nsaid "now".' and pair.target == "Va,\tdit-il."
    assert pair.origin.endswith("a.csv:2")
    assert texts(tmp_path / "b.tsv", 'en\tfr\n"Go\tVa "là"\n') == [('"Go', 'Va "là"')]


def test_json_rows_flat_and_nested(tmp_path: Path) -> None:
    nested = {"id": "0", "translation": {"en": "Go.", "fr": "Va !"}}
    path = tmp_path / "a.jsonl"
    assert texts(path, json.dumps(nested) + "\n") == PAIR
    assert texts(path, source_language="fr", target_language="en") == [PAIR[0][::-1]]
    assert texts(path, source_column="fr", target_column="en") == [PAIR[0][::-1]]
    flat = {"source": "Go.", "target": "Va !", "document": 3, "split": "dev"}
    (pair,) = read(tmp_path / "b.jsonl", json.dumps(flat))
    assert pair[:3] == ("Go.", "Va !", "3") and pair.split == "valid"


def test_parquet_with_a_group(tmp_path: Path) -> None:
    table = pa.table({"translation": [{"en": "Go.", "fr": "Va !"}, {"en": None, "fr": "Oui"}]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert texts(tmp_path / "a.parquet") == [*PAIR, ("", "Oui")]


def test_missing_keys_are_empty_and_remarked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"en": "Go.", "fr": "Va !"}\n{"en": "Hi"}\n{"en": 7, "fr": null}\n')
    remarks = Remarks()
    pairs = [(it.source, it.target) for it in read_pair_table(path, OPTIONS, remarks)]
    assert pairs == [*PAIR, ("Hi", ""), ("7", "")]
    assert remarks.notes() == (
        f"2 row(s) without a text in 'fr', taken as empty: {path}:2, {path}:3",
    )


@pytest.mark.parametrize(
    ("name", "text", "options", "message"),
    [
        (
            "a.csv",
            "id,es,it\n1,a,b\n",
            {},
            r"a\.csv: no columns for en and fr; columns found: 'id', 'es', 'it'; looked for .*"
            r"source and target.*; give --source-column and --target-column \(1 and 2 if",
        ),
        ("a.tsv", "one\ttwo\na\tb\n", {}, r"no columns for en and fr; columns found: 'one', 'two'"),
        (
            "a.csv",
            "en_a,en_b,fr\n1,a,b\n",
            {},
            r"several columns look like en: 'en_a', 'en_b'; columns found: .*give --source-column",
        ),
        (
            "a.csv",
            "source,target,src,tgt\na,b,c,d\n",
            {},
            r"several pairs of columns would do: 'source' and 'target' or 'src' and 'tgt'; columns",
        ),
        (
            "a.csv",
            "english,fr\na,b\n",
            {"source_column": "englsh", "target_column": "fr"},
            r"no source column 'englsh'; did you mean 'english'\?; columns found: 'english', 'fr'; "
            "give --source-column one of them",
        ),
        (
            "a.csv",
            "en,fr\na,b\n",
            {"source_column": "en"},
            r"the target column was not; columns found: 'en', 'fr'; give --target-column too",
        ),
        (
            "a.csv",
            "en,fr\na,b\n",
            {"source_column": "en", "target_column": "en"},
            r"source and target are both column 'en'; columns found: 'en', 'fr'; give --source-c",
        ),
        ("a.txt", "Hello.\n", {}, r"one text file without tabs, expected two texts a line; .*A,B"),
        ("a.csv", "Hello.\nBye.\n", {}, r"no columns for en and fr; columns found: '1'; looked"),
        ("a.csv", "en,fr\n", {}, r"no rows below the header; expected at least one"),
        ("a.csv", "en,fr\na,b\nc\n", {}, r"a\.csv:3: 1 fields, expected 2"),
        (
            "a.jsonl",
            '{"en": ["a"], "fr": "b"}\n',
            {},
            r"a\.jsonl:1: 'en' holds a list \(\['a'\]\), expected a text; give --source-column",
        ),
        (
            "a.jsonl",
            '{"en": "a", "fr": "b", "split": "dev"}\n{"en": "a", "fr": "b", "split": "tset"}',
            {},
            r"a\.jsonl:2: split 'tset' in column 'split'; did you mean 'test'\?; expected one of",
        ),
    ],
)
def test_errors_say_what_was_found(
    tmp_path: Path, name: str, text: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / name, text, **options)


def test_absent_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tsv: no such file.*check the path"):
        read(tmp_path / "a.tsv")
    (tmp_path / "a.tsv").touch()
    with pytest.raises(DataError, match=r"a\.tsv: the file is empty"):
        read(tmp_path / "a.tsv")


def test_delimiter_that_the_first_line_does_not_tell(tmp_path: Path) -> None:
    text = "en, to read;fr, à lire\nGo.;Va !\n"
    assert texts(tmp_path / "a.csv", text, delimiter=";", source_column="1", target_column="2") == [
        ("en, to read", "fr, à lire"), ("Go.", "Va !"),
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"a\.csv:2: 1 fields, expected 3.*or give --delimiter"):
        read(tmp_path / "a.csv", source_column="1", target_column="2")
