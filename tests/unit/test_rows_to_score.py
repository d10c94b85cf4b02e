from pathlib import Path

import pytest

from pipelines.datasets.labelled_text import LabelledText, load_rows_to_score
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import replaced_test, without_rows_in
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

LABELS = ("negative", "positive")


def score(tmp_path: Path, *rows: str):
    path = tmp_path / "other.csv"
    path.write_text("\n".join(["text,label", *rows]))
    folders = DataFolders(raw=tmp_path / "raw", cache=tmp_path / "cache")
    return load_rows_to_score(str(path), LABELS, folders=folders)


def test_all_rows_are_scored_once_and_what_is_left_out_is_counted(tmp_path):
    splits = score(tmp_path, "fine,positive", "Fine!,positive", ",positive", "dull,negative")
    assert [row.text for row in splits.test] == ["fine", "dull"]
    assert len(splits.train) == len(splits.valid) == 0
    assert splits.card.dropped == {"duplicate text": 1, "empty text": 1}
    assert splits.card.counts == {"test": 2}


def test_one_row_of_one_label_is_enough(tmp_path):
    assert len(score(tmp_path, "fine,positive").test) == 1


def test_a_label_the_model_does_not_know_is_named_with_its_line(tmp_path):
    with pytest.raises(DataError, match=r"other\.csv:3.*'postive' is unknown.*mean 'positive'"):
        score(tmp_path, "fine,positive", "warm,postive")


def test_a_file_without_labelled_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match="no labelled row .*--text-column and --label-column"):
        score(tmp_path, ",positive")


def test_rows_the_model_has_learned_from_are_left_out_and_counted(tmp_path):
    splits = score(tmp_path, "fine,positive", "dull,negative", "warm,positive")
    seen = Rows.of(LabelledText, [LabelledText("FINE.", "positive")])
    kept = Rows.of(LabelledText, without_rows_in(splits.test, [seen]))
    fresh = replaced_test(splits, kept, "seen")
    assert [row.text for row in fresh.test] == ["dull", "warm"]
    assert fresh.card.dropped == {"seen": 1}


def test_nothing_left_to_score_is_an_error(tmp_path):
    splits = score(tmp_path, "fine,positive")
    with pytest.raises(DataError, match="all 1 rows were left out: seen; give rows the model has"):
        replaced_test(splits, Rows.of(LabelledText, []), "seen")
