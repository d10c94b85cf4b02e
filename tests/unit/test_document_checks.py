"""What `check` says of running text."""

import numpy as np

from pipelines.datasets.document_checks import check_documents
from pipelines.datasets.document_options import Document
from pipelines.datasets.findings import Finding
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits
from tests.unit.test_documents import prose


def splits_of(train: list[str], valid: list[str], test: list[str], **card: object) -> Splits:
    parts = [
        Rows.of(Document, [Document(text, f"{name}{number}") for number, text in enumerate(texts)])
        for name, texts in (("train", train), ("valid", valid), ("test", test))
    ]
    return Splits(*parts, DataCard(source="x", **card))  # type: ignore[arg-type]


def found(splits: Splits, title: str) -> Finding:
    (finding,) = [it for it in check_documents(splits) if it.title == title]
    return finding


def test_nothing_to_remark_on() -> None:
    good = splits_of([prose(it, 60_000) for it in range(2)], [prose(8)], [prose(9, 30_000)])
    findings = check_documents(good)
    assert {it.level for it in findings} == {"ok"}
    sizes = findings[0]
    assert sizes.title == "Sizes" and sizes.detail == (
        "120,002 characters to learn from, 28 different; 30,001 to be judged on"
    )
    assert sizes.table[1] == ("train", "2", "2", "120,002", "28", "60,001", "60,001", "60,001")


def test_small_sets_are_warned_of() -> None:
    small = found(splits_of([prose(1)], [prose(2)], [prose(3)]), "Sizes")
    assert small.level == "warning" and "under 20,000 test characters" in small.detail


def test_what_was_left_out_is_shown() -> None:
    counts = {"train": 1, "valid": 1, "test": 1}
    splits = splits_of(
        [prose(1)], [prose(2)], [prose(3)], counts=counts, dropped={"duplicate": 2}, notes=("n",)
    )
    finding = found(splits, "Documents left out")
    assert finding.detail == "2 of 5 documents (40.0%); n" and finding.level == "warning"


def test_passages_of_train_in_test_are_measured() -> None:
    shared = prose(1, 2_000)
    splits = splits_of([prose(5) + shared], [prose(6)], [shared + prose(7, 2_000), prose(8)])
    finding = found(splits, "Known passages, test")
    assert finding.level == "warning"
    assert finding.detail.startswith("28.") and "in runs of 200 characters" in finding.detail
    assert finding.table[1] == ("50%", "test0", "4,002")
    assert found(splits, "Known passages, valid").level == "ok"


def test_new_characters_are_counted() -> None:
    splits = splits_of([prose(5)], ["ab\n"], ["abcédéß\n"])
    finding = found(splits, "New characters, test")
    assert finding.level == "warning"
    assert "2 character(s), 3 times (37.5000% of test), are in no training text: 'é'" in (
        finding.detail
    )
    assert "'é' (U+00E9), 'ß' (U+00DF)" in finding.detail and "--level byte" in finding.detail
    assert found(splits, "New characters, valid").level == "ok"


def test_control_characters_are_placed() -> None:
    splits = splits_of([prose(1), "ab\n\x0ccd\x0c\ufffd"], [prose(2)], [prose(3)])
    finding = found(splits, "Control characters")
    assert finding.level == "warning" and "read in a wrong encoding?" in finding.detail
    assert finding.table[1] == ("'\\x0c' (U+000C)", "control character", "2", "train1, line 2")
    assert finding.table[2][1] == "stands for an undecodable byte"


def test_long_lines_and_packed_files_are_found() -> None:
    rng = np.random.default_rng(0)
    packed = "".join(rng.choice(list("abcdef{};=(),"), 20_000))
    paragraph = prose(2, 20_000).replace("\n", " ")
    wide = "春眠不覚暁" * 400
    splits = splits_of([prose(1), packed, paragraph, wide], [prose(3)], [prose(4)])
    lines = found(splits, "Lines")
    assert lines.level == "note" and "the longest has 20,001 characters" in lines.detail
    assert lines.table[1][-1] == "train2, line 1"
    finding = found(splits, "Packed files")
    assert finding.level == "warning" and "1 training document(s)" in finding.detail
    assert finding.table[1][0] == "train1"
