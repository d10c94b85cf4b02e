"""Gettext catalogues: what is taken, what is left out and counted, what is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from pipelines.datasets.parallel_gettext import catalogue_language, gettext_files, read_gettext
from pipelines.datasets.parallel_options import ParallelOptions
from pipelines.datasets.remarks import Remarks
from pipelines.errors import DataError

OPTIONS = ParallelOptions()
HEADER = r"""# Header.
msgid ""
msgstr ""
"Language: fr\n"
"Content-Type: text/plain; charset=UTF-8\n"
"POT-Creation-Date: some day\n"
"PO-Revision-Date: 2011-01-01 10:00:00 in the morning\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\n"

"""
BODY = r"""#: app.py:3
msgid "Open"
msgstr "Ouvrir"

msgctxt "door"
msgid "Open"
msgstr "Ouverte"

#, python-format
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d fichier"
msgstr[1] "%d fichiers"

msgid ""
"Say:\n"
"\t\"yes\""
msgstr "Dites :\n\t« oui »"

#, fuzzy
#| msgid "Closing"
msgid "Close"
msgstr "Clore"

msgid "Untranslated"
msgstr ""

msgid "%d day"
msgid_plural "%d days"
msgstr[0] ""
msgstr[1] ""

#~| msgid "Older"
#~ msgid "Old"
#~ msgstr "Vieux"
"""
PAIRS = [
    ("Open", "Ouvrir"),
    ("Open", "Ouverte"),
    ("%d file", "%d fichier"),
    ("%d files", "%d fichiers"),
    ('Say:\n\t"yes"', "Dites :\n\t« oui »"),
]


def write(path: Path, text: str = HEADER + BODY, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def read(path: Path, options: ParallelOptions = OPTIONS) -> list[tuple[str, str]]:
    return [(it.source, it.target) for it in read_gettext(path, options, Remarks())]


def test_translated_messages_are_pairs_and_the_rest_is_counted(tmp_path: Path) -> None:
    path, remarks = write(tmp_path / "app.po"), Remarks()
    pairs = list(read_gettext(path, OPTIONS, remarks))
    assert [(it.source, it.target) for it in pairs] == PAIRS
    lines = (HEADER + BODY).splitlines()
    first = lines.index('msgid "Open"') + 1
    assert pairs[0].origin == f"{path}:{first}"
    assert {it.document for it in pairs} == {f"{tmp_path.name}/app.po"}
    path = write(tmp_path / "shop/locale/fr/LC_MESSAGES/app.po")
    (document,) = {it.document for it in read_gettext(path, OPTIONS, Remarks())}
    assert document == "shop/locale/fr/LC_MESSAGES/app.po"
    assert remarks.counts == {
        "fuzzy message(s), left out": 1,
        "untranslated message(s), left out": 2,
        "obsolete message(s), left out": 1,
    }
    untranslated = lines.index('msgid "Untranslated"') + 1
    path = tmp_path / "app.po"
    assert f": {path}:{untranslated}, " in remarks.describe("untranslated message(s), left out")


def test_singular_goes_with_the_first_form_and_plural_with_the_last(tmp_path: Path) -> None:
    header = HEADER.replace("nplurals=2", "nplurals=3").replace(": fr", ": pl")
    body = 'msgid "file"\nmsgid_plural "files"\nmsgstr[0] "plik"\nmsgstr[1] "pliki"\n'
    path = write(tmp_path / "pl.po", header + body + 'msgstr[2] "plików"\n')
    options = ParallelOptions(target_language="pl")
    assert read(path, options) == [("file", "plik"), ("files", "plików")]


def test_escapes_of_control_characters_become_blanks(tmp_path: Path) -> None:
    text = HEADER + r'msgid "\\abc\a\vd\te"' + "\n" + r'msgstr "\\\ax"'
    assert read(write(tmp_path / "a.po", text)) == [("\\abc  d\te", "\\ x")]


def test_encoding_of_the_header_is_used(tmp_path: Path) -> None:
    text = HEADER.replace("UTF-8", "ISO-8859-1") + 'msgid "tea"\nmsgstr "thé"\n'
    path = write(tmp_path / "a.po", text, "latin-1")
    assert read(path) == [("tea", "thé")]
    with pytest.raises(DataError, match=r"a\.po:\d+: byte 0xe9 .* is not utf-8"):
        read(path, ParallelOptions(encoding="utf-8"))
    template = write(tmp_path / "b.po", HEADER.replace("UTF-8", "CHARSET") + BODY)
    assert read(template) == PAIRS


def test_compiled_catalogue(tmp_path: Path) -> None:
    catalogue = Catalog(locale="fr")
    catalogue.add("Open", "Ouvrir")
    catalogue.add("Open", "Ouverte", context="door")
    catalogue.add(("%d file", "%d files"), ("%d fichier", "%d fichiers"))
    stream = io.BytesIO()
    write_mo(stream, catalogue)
    path = tmp_path / "app.mo"
    path.write_bytes(stream.getvalue())
    assert sorted(read(path)) == sorted(PAIRS[:4])
    path.write_bytes(stream.getvalue()[:-9])
    with pytest.raises(DataError, match=r"app\.mo: not a readable \.mo file .*; compile it again"):
        read(path)
    path.write_bytes(b"MZ")
    with pytest.raises(DataError, match=r"not a readable \.mo file .* or give the \.po file"):
        read(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_compiled_header_in_any_order_and_encoding(tmp_path: Path, order: str) -> None:
    header = (
        "Language: fr\nLast-Translator: Zoé\nContent-Type: text/plain; charset=ISO-8859-1\n"
        "PO-Revision-Date: Mon Feb 19 22:49:21 2001\n"
    )
    texts = [("", header), ("Language: de", "Langue : dé"), ("tea", "thé")]
    encoded = [[side.encode("latin-1") for side in sides] for sides in zip(*texts, strict=True)]
    content, tables = b"", b""
    start = 28 + 16 * len(texts)
    for text in (text for side in encoded for text in side):
        tables += struct.pack(f"{order}2I", len(text), start + len(content))
        content += text + b"\0"
    top = struct.pack(
        f"{order}7I", 0x950412DE, 0, len(texts), 28, 28 + 8 * len(texts), 0, start + len(content)
    )
    path = tmp_path / "a.mo"
    path.write_bytes(top + tables + content + b"\0")
    assert catalogue_language(path) == "fr"
    assert read(path) == [("Language: de", "Langue : dé"), ("tea", "thé")]


def test_folder_gives_the_catalogues_of_the_target_language(tmp_path: Path) -> None:
    plain = BODY
    for name in ("fr/LC_MESSAGES/app.po", "de/LC_MESSAGES/app.po", "shop.fr.po", "shop.de.po"):
        write(tmp_path / name, plain)
    write(tmp_path / "other.po", HEADER + BODY)
    write(tmp_path / "nobody-knows.po", plain)
    (tmp_path / "other.mo").write_bytes(b"compiled")
    (tmp_path / "readme.txt").touch()
    names = [str(it.relative_to(tmp_path)) for it in gettext_files(tmp_path, OPTIONS)]
    assert names == ["fr/LC_MESSAGES/app.po", "nobody-knows.po", "other.po", "shop.fr.po"]
    assert catalogue_language(tmp_path / "other.po") == "fr"
    (tmp_path / "nobody-knows.po").unlink()
    with pytest.raises(
        DataError, match=r"5 gettext file\(s\), none into it; languages found: de, fr; give --targ"
    ):
        gettext_files(tmp_path, ParallelOptions(target_language="it"))
    (tmp_path / "empty").mkdir()
    assert gettext_files(tmp_path / "empty", OPTIONS) == []


def test_other_target_language_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.po")
    with pytest.raises(DataError, match=r"translates into fr, expected de; give --target-language"):
        read(path, ParallelOptions(target_language="de"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('msgid "a"\nmsgid "b"\nmsgstr "c"\n', r"a\.po:\d+: not valid gettext: missing msgstr for"),
        (
            'msgid "a"\nmsgstr "b"\nmessage "c"\n',
            r"a\.po:12: not valid gettext: Unknown or misformatted keyword; the line reads "
            "'message \"c\"'; expected msgid .* mend the message",
        ),
        (
            'msgid "a"\nmsgstr oops\n',
            r"a\.po:11: not valid gettext: a text without quotes; the line reads 'msgstr oops'; "
            "expected msgid .* mend the message",
        ),
        (
            'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\nmsgstr[1] "d"\nmsgstr[2] "e"\n',
            r"a\.po:10: not valid gettext: msg has more translations than num_plurals",
        ),
    ],
)
def test_damage_is_told_with_its_line(tmp_path: Path, body: str, message: str) -> None:
    path = write(tmp_path / "a.po", HEADER + body)
    with pytest.raises(DataError, match=message):
        read(path)


def test_header_that_cannot_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.po", HEADER.replace("nplurals=2", "nplurals=INTEGER") + BODY)
    with pytest.raises(
        DataError, match=r"a\.po:10: not valid gettext: .*INTEGER.*; mend the message"
    ):
        read(path)
    with pytest.raises(DataError, match=r"b\.po: no such file; did you mean 'a\.po'\?"):
        read(tmp_path / "b.po")
