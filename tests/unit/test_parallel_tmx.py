"""Translation memories: languages, inline tags, damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.parallel_tmx import read_tmx
from pipelines.datasets.remarks import Remarks
from pipelines.errors import DataError

OPTIONS = ParallelOptions()
TOP = '<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'


def unit(**segments: str) -> str:
    variants = (
        f'<tuv xml:lang="{language.replace("_", "-")}"><seg>{text}</seg></tuv>'
        for language, text in segments.items()
    )
    return f"<tu><prop type='x'>ignored</prop>\n{''.join(variants)}</tu>\n"


def memory(*units: str, encoding: str = "UTF-8") -> str:
    body = "".join(units)
    return f'{TOP.format(encoding=encoding)}<tmx version="1.4"><body>\n{body}</body></tmx>\n'


def read(path: Path, text: str = "", options: ParallelOptions = OPTIONS) -> list[RawPair]:
    if text:
        path.write_text(text, encoding="utf-8")
    return list(read_tmx(path, options, Remarks()))


def test_languages_fit_by_their_main_part(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    text = memory(
        unit(EN_US="Go &amp; stop.", FR="Va &lt;là&gt;.", de="Geh."), unit(en="One", fr_CA="Un")
    )
    assert read(path, text) == [
        RawPair("Go & stop.", "Va <là>.", "", f"{path}:4"),
        RawPair("One", "Un", "", f"{path}:6"),
    ]
    options = ParallelOptions(source_language="de", target_language="en")
    remarks = Remarks()
    assert [it[:2] for it in read_tmx(path, options, remarks)] == [("Geh.", "Go & stop.")]
    assert remarks.notes() == (f"1 unit(s) without one of the languages, left out: {path}:6",)


def test_exact_code_is_taken_before_one_with_a_region(tmp_path: Path) -> None:
    text = memory(unit(en_US="color", en="colour", fr="couleur", FR="teinte"))
    ((source, target, *_),) = read(tmp_path / "a.tmx", text)
    assert (source, target) == ("colour", "couleur")


def test_inline_tags_become_plain_text(tmp_path: Path) -> None:
    source = (
        'Press <bpt i="1">&lt;b&gt;</bpt>OK<ept i="1">&lt;/b&gt;</ept>, <hi>now</hi><ph x="1"/> or '
        '<it pos="begin">{i}</it>never<ph>[<sub>a note</sub>]</ph>.'
    )
    (pair,) = read(tmp_path / "a.tmx", memory(unit(en=source, fr="Non")))
    assert pair.source == "Press OK, now or never."


@pytest.mark.parametrize("encoding", ["UTF-16", "ISO-8859-1", "windows-1252"])
def test_declared_encoding_is_used(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.tmx.gz"
    text = memory(unit(en="tea", fr="thé"), encoding=encoding)
    path.write_bytes(gzip.compress(text.encode(encoding)))
    ((source, target, *_),) = read(path)
    assert (source, target) == ("tea", "thé")


def test_long_memory_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    count = 3000
    path.write_text(memory(*(unit(en=f"{n} é", fr=f"{n} è") for n in range(count))), "utf-8")
    pairs = read_tmx(path, OPTIONS, Remarks())
    assert next(pairs)[:2] == ("0 é", "0 è")
    assert [it.source for it in pairs] == [f"{n} é" for n in range(1, count)]


def test_missing_language_lists_those_present(tmp_path: Path) -> None:
    text = memory(unit(en="a", de="b"), unit(en="c", IT_it="d"))
    with pytest.raises(
        DataError,
        match=r"a\.tmx: no unit holds both en and fr; languages found \(units\): en \(2\), de \(1\)"
        r", IT-it \(1\); give --source-language and --target-language two of them",
    ):
        read(tmp_path / "a.tmx", text)
    with pytest.raises(DataError, match=r"languages found \(units\): none"):
        read(tmp_path / "a.tmx", memory())


def test_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><tmx><body/></tmx>'
    with pytest.raises(
        DataError, match=r"a\.tmx:1: declares the entity 'a'; expected a TMX file without entities"
    ):
        read(tmp_path / "a.tmx", bomb)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "<tmx>\n<body>\n<tu></body></tmx>",
            r"a\.tmx:3: not valid XML: mismatched tag at column 7",
        ),
        ("<tmx>\n<body>", r"a\.tmx:2: not valid XML: no element found .*export the memory again"),
        ("plain text", r"a\.tmx:1: not valid XML: syntax error at column 1; expected TMX 1\.4"),
        ("<xliff></xliff>", r"a\.tmx: the XML begins with <xliff>, expected <tmx>; give a TMX"),
        (
            '<?xml version="1.0" encoding="big5"?><tmx/>',
            r"cannot be decoded \(.*\); save it as UTF-8, or give --encoding",
        ),
    ],
)
def test_damage_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.tmx", text)


def test_wrong_declaration_is_mended_by_the_option(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    path.write_bytes(memory(unit(en="tea", fr="thé")).encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.tmx:5: not valid XML: not well-formed"):
        read(path)
    ((_, target, *_),) = read(path, options=ParallelOptions(encoding="iso-8859-1"))
    assert target == "thé"


def test_absent_file(tmp_path: Path) -> None:
    (tmp_path / "memory.tmx").touch()
    with pytest.raises(DataError, match=r"memry\.tmx: no such file; did you mean 'memory\.tmx'\?"):
        read(tmp_path / "memry.tmx")
