"""CoNLL-U and column files: what is read, mended and refused, with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets import tagged_files
from pipelines.datasets.conllu import document_of, read_conllu
from pipelines.datasets.locate import Part
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.tagged_files import read_columns
from pipelines.datasets.tagged_options import Reading, TaggedOptions
from pipelines.datasets.tagged_sources import read_part
from pipelines.errors import DataError

WORD = "{}\t{}\t_\t{}\tx{}\t_\t0\troot\t_\t{}"


def write(folder: Path, content: str | bytes, name: str = "a.conll") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def conllu(*words: str, misc: str = "_") -> str:
    lines = [WORD.format(n, word, "NOUN", n, misc) for n, word in enumerate(words, 1)]
    return "\n".join([*lines, "", ""])


def read(path: Path, *, spans: bool = False, remarks: Remarks | None = None, **options):
    reading = Reading(TaggedOptions(**options), spans, remarks or Remarks())
    return list(read_part(Part(path), reading))


def refusal(path: Path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return str(caught.value)


def pairs(path: Path, **options) -> list[str]:
    found = read(path, **options)
    return [" ".join(map("/".join, zip(raw.tokens, raw.tags, strict=True))) for raw in found]


@pytest.mark.parametrize(
    "content",
    [
        "Ann\tB\nleft\tO\n\nBob\tB\n",
        "Ann\tB\nleft\tO\n\nBob\tB",  # no blank line, and no line end, at the end of the file
        "Ann\tB\r\nleft\tO\r\n\r\nBob\tB\r\n",
        "Ann\tB\rleft\tO\r\rBob\tB\r",
        "\ufeffAnn\tB\nleft\tO\n\t\nBob\tB\n",  # some write a tab where a sentence ends
        "\n\n# sent_id = 1\nAnn B\nleft O\n  \n\n\nBob  B\n\n\n",
        "Ann \t B\nleft\tO \n\nBob\tB\n",
    ],
)
def test_columns(tmp_path: Path, content: str) -> None:
    assert pairs(write(tmp_path, content)) == ["Ann/B left/O", "Bob/B"]


def test_columns_by_number_and_documents(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- -X- O\n\nNNP Ann I-NP B-x\nVBD left I-VP O\n\n-DOCSTART-\nNN x I O\n"
    path = write(tmp_path, content)
    first, second = read(path, token_column="2", tag_column="1")
    assert (first.tokens, first.tags) == (("Ann", "left"), ("NNP", "VBD"))
    assert (first.document, second.document) == ("a.conll#1", "a.conll#2")
    assert (first.place(1), second.place()) == (f"{path}:4", f"{path}:7")
    assert pairs(path, token_column="-3")[0] == "Ann/B-x left/O"
    assert "no tag column '5'; columns found: 1 ('NNP'), 2 ('Ann'), 3 ('I-NP'), 4" in refusal(
        path, tag_column="5"
    )
    assert "give --token-column one of their numbers" in refusal(path, token_column="word")
    assert "column 4 for both words and tags" in refusal(path, token_column="4")


def test_another_document_marker(tmp_path: Path) -> None:
    first, second = read(write(tmp_path, "%% a\nx O\n%% b\ny O\n"), document_marker="%%")
    assert (first.document, second.document) == ("a.conll#1", "a.conll#2")


def test_hash_as_a_word_is_no_comment(tmp_path: Path) -> None:
    assert pairs(write(tmp_path, "# text = a\n#\tO\n#tag\tO\n# x\tB\n")) == ["#/O #tag/O # x/B"]
    assert pairs(write(tmp_path, "# O\n#tag O\n")) == ["#/O #tag/O"]


def test_ragged_columns(tmp_path: Path) -> None:
    found = refusal(write(tmp_path, "Ann\tB\n\nNew\tYork\tB\n"))
    assert (
        "a.conll:3: 3 column(s), expected 2 as in line 1; the line reads 'New\\tYork\\tB'" in found
    )
    assert "a word may hold the delimiter: mend the line, or give --delimiter" in found
    found = refusal(write(tmp_path, "Ann\tB\nleft\n"))
    assert "a.conll:2: 1 column(s), expected 2 as in line 1" in found
    assert "a tag is missing" in found


def test_empty_word_or_tag(tmp_path: Path) -> None:
    found = refusal(write(tmp_path, "Ann\tB\n\tO\n"))
    assert "a.conll:2: an empty word in column 1; the line reads '\\tO'" in found
    assert "an empty tag in column 2" in refusal(write(tmp_path, "Ann\tB\nleft\t\n"))


def test_one_column_and_csv(tmp_path: Path) -> None:
    found = refusal(write(tmp_path, "Ann,B\nleft,O\n"))
    assert "a.conll:1: one column only ('Ann,B'); expected a word and its tag" in found
    assert "give --delimiter ','" in found
    assert pairs(write(tmp_path, "Ann,B\nleft,O\n"), delimiter=",") == ["Ann/B left/O"]
    path = write(tmp_path, "Ann,B\nleft,O\n", "a.csv")
    assert "a csv table, expected tagged sentences" in refusal(path)
    assert pairs(path, delimiter="comma") == ["Ann/B left/O"]


def test_nul_encoding_and_empty_file(tmp_path: Path) -> None:
    assert "the file is empty; expected tagged sentences" in refusal(write(tmp_path, ""))
    content = b"Ann\tB\n" * 2000 + b"x\0y\tO\n"
    assert "a.conll:2001: a NUL character at column 2" in refusal(write(tmp_path, content))
    found = refusal(write(tmp_path, "caf\xe9\tB\n".encode("latin-1")))
    assert "a.conll:1: byte 0xe9 at offset 3 is not utf-8" in found
    assert "no such file" in refusal(tmp_path / "b.conll")


def test_a_sentence_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "x O\n" * 10_000)
    assert len(read(path)[0].tokens) == 10_000
    monkeypatch.setattr(tagged_files, "MAX_SENTENCE_WORDS", 9_999)
    assert "a.conll:1: more than 9,999 words" in refusal(path)
    assert "expected a blank line after each sentence" in refusal(path)


WORDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\t\r\n\0\ufeff"), min_size=1
).filter(lambda word: word.strip(" ") == word and not word.startswith("-DOCSTART-"))


@given(st.lists(st.lists(WORDS, min_size=1, max_size=6), min_size=1, max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory, sentences) -> None:
    """Right-to-left and combining characters, emoji sequences, odd spaces: all survive."""
    folder = tmp_path_factory.mktemp("words")
    columns = "\n\n".join("\n".join(f"{word}\tO" for word in words) for words in sentences)
    path = write(folder, columns)
    reading = Reading(TaggedOptions(), False, Remarks())
    assert [list(raw.tokens) for raw in read_columns(path, reading)] == sentences
    visible = [[word if word.strip() else "x" for word in words] for words in sentences]
    path = write(folder, "".join(conllu(*words) for words in visible), "a.conllu")
    assert [list(raw.tokens) for raw in read_conllu(path, reading)] == visible


MULTIWORD = """# newdoc id = all
# sent_id = DOC7_SENT003
# text = Vamos ao mar .
1\tVamos\t_\tVERB\tv\t_\t0\troot\t_\tNER=O
2-3\tao\t_\t_\t_\t_\t_\t_\t_\t_
2\ta\t_\tADP\tp\t_\t0\tcase\t_\t_
3\to\t_\tDET\td\t_\t0\tdet\t_\t_
3.1\tquiet\t_\tX\t_\t_\t0\tdep\t_\t_
4\tmar\t_\tNOUN\tn\t_\t0\tobl\t_\tSpaceAfter=No|NER=B-loc
5\t.\t_\tPUNCT\tf\t_\t0\tpunct\t_\t_
"""


def test_conllu(tmp_path: Path) -> None:
    path = write(tmp_path, MULTIWORD, "a.conllu")
    (raw,) = read(path)
    assert raw.tokens == ("Vamos", "a", "o", "mar", ".")
    assert raw.tags == ("VERB", "ADP", "DET", "NOUN", "PUNCT")
    assert (raw.surfaces, raw.parts) == (("Vamos", "ao", "mar", "."), (1, 2, 1, 1))
    assert (raw.text, raw.document) == ("Vamos ao mar .", "DOC7")
    assert [raw.place(n) for n in (0, 3)] == [f"{path}:4", f"{path}:9"]
    assert read(path, tag_field="xpos")[0].tags == ("v", "p", "d", "n", "f")
    assert read(path, tag_field="DEPREL")[0].tags[0] == "root"
    assert read(path, spans=True)[0].tags == ("O", "O", "O", "B-loc", "O")
    assert read(path, tag_field="NER")[0].tags == ("O", "", "", "B-loc", "")
    renamed = write(tmp_path, MULTIWORD, "a.txt")
    assert read(renamed)[0].tags == raw.tags


def test_conllu_without_the_field(tmp_path: Path) -> None:
    path = write(tmp_path, MULTIWORD.replace("NER", "Entity"), "a.conllu")
    found = refusal(path, spans=True)
    assert "a.conllu: no word has a tag in 'NER/NE'" in found
    assert "keys in misc: Entity, SpaceAfter; give --tag-field" in found
    assert "no word has a tag in 'Entiti'; did you mean 'Entity'?" in refusal(
        path, tag_field="Entiti"
    )


def test_conllu_plus(tmp_path: Path) -> None:
    content = "# global.columns = ID FORM UPOS PARSEME:MWE\n1\tAnn\tPROPN\t*\n2\tleft\tVERB\t1\n"
    path = write(tmp_path, content, "a.conllup")
    assert pairs(path) == ["Ann/PROPN left/VERB"]
    assert pairs(path, tag_field="mwe") == ["Ann/* left/1"]


def test_conllu_documents(tmp_path: Path) -> None:
    body = conllu("a")
    two = f"# newdoc id = one\n# sent_id = a-1\n{body}# newdoc\n# sent_id = a-2\n{body}"
    path = write(tmp_path, two, "a.conllu")
    assert [raw.document for raw in read(path)] == ["one", "a.conllu:5"]
    path = write(tmp_path, f"# newdoc id = one\n{body}", "a.conllu")
    assert [raw.document for raw in read(path)] == ["one"]


@pytest.mark.parametrize(
    ("identity", "document"),
    [
        ("FOLHA_DOC000001_SENT003", "FOLHA_DOC000001"),
        ("247-20140910-MONOGRAFIA_0-1", "247-20140910-MONOGRAFIA_0"),
        ("dante_01_441014389496619009l", "dante_01"),
        ("weblog-x.com_ENG_2004-0007", "weblog-x.com_ENG_2004"),
        ("train-s12", "train"),
        ("doc-p3s2", "doc"),
        ("12", ""),
        ("named", ""),
    ],
)
def test_document_of_a_sentence_id(identity: str, document: str) -> None:
    assert document_of(identity) == document


def test_conllu_faults(tmp_path: Path) -> None:
    def found(content: str) -> str:
        return refusal(write(tmp_path, content, "a.conllu"))

    assert "a.conllu:1: 2 column(s), expected 10 separated by tabs (id, form" in found("1\tAnn\n")
    assert "a blank line must be quite empty" in found(conllu("a") + "x y\n")
    shifted = conllu("New\tYork")
    assert "a.conllu:1: 11 column(s), expected 10" in found(shifted)
    assert "a.conllu:1: word number 'x', expected 1, 2, 3" in found(conllu("a").replace("1", "x"))
    missing = conllu("a").rstrip("\n") + "\n" + conllu("b")
    assert "a.conllu:2: word number 1, expected 2; put a blank line before" in found(missing)
    assert "a.conllu:1: an empty word in column 2" in found(conllu(" "))


def test_conllu_repairs_are_remarked(tmp_path: Path) -> None:
    remarks = Remarks()
    content = conllu("a", "b").replace("2\tb", "3\tb") + conllu("c", misc="_\tTrunc=Yes")
    path = write(tmp_path, content, "a.conllu")
    assert pairs(path, remarks=remarks) == ["a/NOUN b/NOUN", "c/NOUN"]
    assert [note.split(":")[0] for note in remarks.notes()] == [
        "1 line(s) with more than ten columns, the surplus not read",
        "1 sentence(s) with words not numbered 1, 2, 3, ..., read in the order of lines",
    ][::-1]
    assert all(f"{path}:" in note for note in remarks.notes())


def test_multiword_that_covers_too_much_is_not_kept(tmp_path: Path) -> None:
    remarks = Remarks()
    content = MULTIWORD.replace("2-3\t", "2-9\t")
    (raw,) = read(write(tmp_path, content, "a.conllu"), remarks=remarks)
    assert raw.surfaces == () and remarks.counts.total() == 1
