"""`tfds:NAME` on a small set built here, so that no network is needed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipelines.datasets.labelled_text import LabelledTextOptions, load_labelled_text
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tagged import TaggedOptions, load_tagged
from pipelines.datasets.tagged_records import SPAN_TAG_KEYS, TOKEN_KEYS, WORD_TAG_KEYS
from pipelines.datasets.tfds_reader import flat_features
from pipelines.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")


class TinyReviews(tfds.core.GeneratorBasedBuilder):
    """Forty reviews with a test and an unsupervised split."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "data": {"remark": tfds.features.Text()},
                    "verdict": tfds.features.ClassLabel(names=["bad", "good"]),
                }
            ),
            citation="Nobody (2026), Tiny reviews",
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples("seen", 40),
            "test": self._generate_examples("unseen", 6),
            "unsupervised": self._generate_examples("raw", 4, labelled=False),
        }

    def _generate_examples(self, word, count, labelled=True):
        for number in range(count):
            label = number % 2 if labelled else -1
            yield number, {"data": {"remark": f"{word} film {number} é"}, "verdict": label}


class FarAway(TinyReviews):
    """A set whose download has nowhere to go."""

    VERSION = tfds.core.Version("1.0.0")

    @property
    def url_infos(self):
        return {"http://127.0.0.1:9/reviews.zip": None}


OPTIONS = LabelledTextOptions(text_feature="data/remark", label_feature="verdict")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolders:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    real = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name: real(name, data_dir=tmp_path / "tfds"))
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def test_own_splits_and_label_names_are_used(folders: DataFolders) -> None:
    splits = load_labelled_text("tfds:tiny_reviews", OPTIONS, folders=folders)
    assert splits.card.counts == {"train": 36, "valid": 4, "test": 6}
    assert {row.label for row in splits.train} == {"bad", "good"}
    assert {row.text for row in splits.test} == {f"unseen film {n} é" for n in range(6)}
    assert splits.card.notes == ("not read: split unsupervised",)
    assert "Tiny reviews" in splits.card.citation


def test_a_prepared_set_is_read_again_without_preparing(
    folders: DataFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_labelled_text("tfds:tiny_reviews", OPTIONS, folders=folders)
    monkeypatch.setattr(TinyReviews, "download_and_prepare", None)
    again = load_labelled_text("tfds:tiny_reviews", OPTIONS, folders=folders)
    assert again.card == first.card


def test_missing_feature_lists_those_there_are(folders: DataFolders) -> None:
    with pytest.raises(
        DataError, match=r"no feature for the text; .*'data/remark'.*--text-feature"
    ):
        load_labelled_text("tfds:tiny_reviews", LabelledTextOptions(), folders=folders)


def test_unknown_name_is_answered_with_a_guess(folders: DataFolders) -> None:
    with pytest.raises(DataError, match=r"no such set; did you mean 'imdb_reviews'\?"):
        load_labelled_text("tfds:imdb_reveiws", folders=folders)


def test_unreachable_host_fails_at_once(folders: DataFolders) -> None:
    with pytest.raises(DataError, match=r"far_away is not on disk .* refused; .*TFDS_DATA_DIR"):
        load_labelled_text("tfds:far_away", OPTIONS, folders=folders)


def test_absent_library_names_what_to_install(
    folders: DataFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "importlib_resources", None)
    with pytest.raises(DataError, match=r"install tensorflow-datasets and importlib_resources"):
        load_labelled_text("tfds:tiny_reviews", OPTIONS, folders=folders)


class TinyEntities(tfds.core.GeneratorBasedBuilder):
    """Tagged sentences as conll2003 has them, with one label missing."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        labels = {
            "pos": tfds.features.ClassLabel(names=["NOUN", "VERB"]),
            "ner": tfds.features.ClassLabel(names=["O", "B-PER", "I-PER"]),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "tokens": tfds.features.Sequence(tfds.features.Text()),
                    **{name: tfds.features.Sequence(label) for name, label in labels.items()},
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples("seen", 20),
            "dev": self._generate_examples("near", 5),
            "test": self._generate_examples("unseen", 6),
        }

    def _generate_examples(self, word, count):
        for number in range(count):
            tokens = [f"{word}{number}", "é", "runs"]
            yield number, {"tokens": tokens, "pos": [0, 0, 1], "ner": [1, 2, 0]}


def test_tagged_sentences_with_names_of_labels(folders: DataFolders) -> None:
    splits = load_tagged("tfds:tiny_entities", folders=folders, spans=True)
    assert splits.card.counts == {"train": 20, "valid": 5, "test": 6}
    assert splits.test[0].tags == ("B-PER", "I-PER", "O")
    assert splits.card.label_counts["test"] == {"PER": 6}
    assert splits.test[0].tokens[1:] == ("é", "runs")
    assert splits.test[0].place == "tfds:tiny_entities/1.0.0:test:1"
    splits = load_tagged("tfds:tiny_entities", folders=folders, spans=False)
    assert splits.card.label_counts["test"] == {"NOUN": 12, "VERB": 6}


def test_missing_tag_feature_lists_those_there_are(folders: DataFolders) -> None:
    with pytest.raises(DataError, match=r"no tags 'nre'; did you mean 'ner'\?; found: 'tokens'"):
        options = TaggedOptions(tag_column="nre")
        load_tagged("tfds:tiny_entities", options, folders=folders, spans=True)


def test_conll2003_has_the_features_looked_for(folders: DataFolders) -> None:
    features = flat_features(tfds.builder("conll2003").info.features)
    assert "tokens" in TOKEN_KEYS and hasattr(features["tokens"], "feature")
    ner = next(features[key] for key in SPAN_TAG_KEYS if key in features)
    pos = next(features[key] for key in WORD_TAG_KEYS if key in features)
    assert "B-PER" in ner.feature.names and "NNP" in pos.feature.names


def test_a_set_without_train_split_is_refused(
    folders: DataFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.datasets.tfds_reader.SPLIT_WORDS", {"test": "test"})
    with pytest.raises(DataError, match=r"tfds:tiny_entities: no train split, only \['"):
        load_tagged("tfds:tiny_entities", folders=folders, spans=True)
