"""Whatever pairs are written in a format, the same are read back."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import write_po
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.parallel_files import find_pair_files, read_pair_files
from pipelines.datasets.parallel_gettext import read_gettext
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.parallel_tables import read_pair_table
from pipelines.datasets.parallel_tmx import read_tmx
from pipelines.datasets.remarks import Remarks

Pairs = list[tuple[str, str]]
Reader = Callable[[Path, ParallelOptions, Remarks], Iterator[RawPair]]
OPTIONS = ParallelOptions()
MARKS = st.sampled_from("\t\",;|'«»\\<>&%{}[] éßñ漢字אב🙂\u2028\u00a0")
LETTERS = st.characters(
    exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufeff\ufffe\uffff"
)
TEXTS = st.text(LETTERS | MARKS | st.just("\n"), min_size=1, max_size=25).filter(str.strip)
LINES = st.text(LETTERS | MARKS, min_size=1, max_size=25).filter(str.strip)
SOME = settings(max_examples=60, deadline=None)


def pairs_of(
    texts: st.SearchStrategy[str], **unique: Callable[[tuple[str, str]], str]
) -> st.SearchStrategy[Pairs]:
    return st.lists(st.tuples(texts, texts), min_size=1, max_size=6, **unique)  # type: ignore[arg-type]


def read(name: str, content: bytes, reader: Reader) -> Pairs:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return [(it.source, it.target) for it in reader(path, OPTIONS, Remarks())]


@SOME
@given(pairs_of(LINES))
def test_two_text_files(pairs: Pairs) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for code, side in zip(("en", "fr"), zip(*pairs, strict=True), strict=True):
            text = "".join(f"{line}\n" for line in side)
            (Path(folder) / f"c.{code}").write_text(text, encoding="utf-8", newline="")
        (files,) = find_pair_files(folder, OPTIONS)
        got = [(it.source, it.target) for it in read_pair_files(files, OPTIONS, Remarks())]
    assert got == pairs


@SOME
@given(pairs_of(TEXTS))
def test_csv(pairs: Pairs) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows([("en", "fr"), *pairs])
    assert read("a.csv", stream.getvalue().encode(), read_pair_table) == pairs


@SOME
@given(pairs_of(LINES.map(lambda it: it.replace("\t", " ")).filter(str.strip)))
def test_tsv_without_quotes(pairs: Pairs) -> None:
    # A quote that opens a field is ambiguous in a file that quotes nothing.
    pairs = [(a.replace('"', "”"), b.replace('"', "”")) for a, b in pairs]
    text = "".join(f"{a}\t{b}\n" for a, b in [("source", "target"), *pairs])
    assert read("a.tsv", text.encode(), read_pair_table) == pairs


@SOME
@given(pairs_of(TEXTS), st.booleans(), st.booleans())
def test_json_lines(pairs: Pairs, nested: bool, ascii_only: bool) -> None:
    rows = [{"en": a, "fr": b} for a, b in pairs]
    lines = [{"translation": row} if nested else row for row in rows]
    text = "".join(json.dumps(line, ensure_ascii=ascii_only) + "\n" for line in lines)
    assert read("a.jsonl", text.encode(), read_pair_table) == pairs


@SOME
@given(pairs_of(TEXTS))
def test_parquet(pairs: Pairs) -> None:
    sink = io.BytesIO()
    sides = [list(side) for side in zip(*pairs, strict=True)]
    pq.write_table(pa.table({"src": sides[0], "tgt": sides[1]}), sink)
    assert read("a.parquet", sink.getvalue(), read_pair_table) == pairs


@SOME
@given(pairs_of(TEXTS), st.sampled_from(["utf-8", "utf-16"]))
def test_tmx(pairs: Pairs, encoding: str) -> None:
    units = "".join(
        f'<tu><tuv xml:lang="EN-GB"><seg>{escape(a)}</seg></tuv>'
        f'<tuv xml:lang="fr"><seg>{escape(b)}</seg></tuv></tu>'
        for a, b in pairs
    )
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><tmx version="1.4"><body>{units}</body></tmx>'
    )
    assert read("a.tmx", text.encode(encoding), read_tmx) == pairs


@SOME
@given(pairs_of(TEXTS, unique_by=lambda pair: pair[0]), st.booleans())
def test_gettext(pairs: Pairs, compiled: bool) -> None:
    catalogue, sink = Catalog(locale="fr"), io.BytesIO()
    for source, target in pairs:
        catalogue.add(source, target)
    (write_mo if compiled else write_po)(sink, catalogue)
    name = "fr.mo" if compiled else "fr.po"
    assert sorted(read(name, sink.getvalue(), read_gettext)) == sorted(pairs)
