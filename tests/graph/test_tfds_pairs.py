"""`tfds:NAME` of translation sets, with examples the library makes up: no network is needed."""

from __future__ import annotations

import pytest

from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.tfds_pairs import tfds_pair_source
from pipelines.errors import DataError

tfds = pytest.importorskip("tensorflow_datasets")


class Spoken(tfds.core.GeneratorBasedBuilder):
    """Six examples that list their languages, as ted_multi_translate does."""

    VERSION = tfds.core.Version("1.0.0")
    VARIANTS = ({"en": "go {n}", "fr": "va {n}", "de": "geh {n}"}, {"en": "no {n}", "de": "nein"})

    def _info(self):
        languages = tfds.features.TranslationVariableLanguages(languages=["de", "en", "fr"])
        features = tfds.features.FeaturesDict({"talks": languages})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(6), "dev": self._generate_examples(2)}

    def _generate_examples(self, count):
        for number in range(count):
            texts = self.VARIANTS[number % 2]
            yield number, {"talks": {code: it.format(n=number) for code, it in texts.items()}}


class Paired(Spoken):
    """Pairs under the names of their languages."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.Translation(languages=["pt", "en"])
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("pt", "en"))

    def _generate_examples(self, count):
        for number in range(count):
            yield number, {"pt": f"olá {number}", "en": f"hello {number}"}


@pytest.fixture(autouse=True)
def sets_on_disk(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda name: real(name, data_dir=tmp_path / "tfds"))


def read(name: str, source: str, target: str, **columns: str) -> tuple[list[RawPair], Remarks]:
    options = ParallelOptions(source_language=source, target_language=target, **columns)
    remarks = Remarks()
    streams = tfds_pair_source(name, options).streams
    return [pair for stream in streams for pair in stream(options, remarks)], remarks


def test_set_is_read_in_either_direction_with_its_splits() -> None:
    pairs, _ = read("paired", "pt", "en")
    assert len(pairs) == 8
    by_split = {split: [it for it in pairs if it.split == split] for split in ("train", "valid")}
    assert {it.source for it in by_split["train"]} == {f"olá {n}" for n in range(6)}
    assert {it.target for it in by_split["valid"]} == {"hello 0", "hello 1"}
    assert by_split["train"][0].origin == "tfds:paired/1.0.0:train:1"
    back, _ = read("paired", "en", "pt-BR")
    assert [(it.target, it.source) for it in back] == [(it.source, it.target) for it in pairs]
    named, _ = read("paired", "xx", "yy", source_column="en", target_column="pt")
    assert named == back


def test_other_languages_are_listed() -> None:
    with pytest.raises(
        DataError,
        match=r"tfds:paired: no language 'fr' for the target; found: pt, en; give --source",
    ):
        read("paired", "en", "fr")
    with pytest.raises(DataError, match=r"no feature 'english' for the source.*; found: pt, en"):
        read("paired", "en", "pt", source_column="english")


def test_lists_of_languages_give_those_asked_for() -> None:
    pairs, remarks = read("spoken", "fr", "en")
    assert sorted(it[:2] for it in pairs if it.split == "train") == [
        ("va 0", "go 0"),
        ("va 2", "go 2"),
        ("va 4", "go 4"),
    ]
    assert remarks.counts == {"example(s) without one of the languages, left out": 4}
    with pytest.raises(
        DataError, match=r"no example holds both en and it; languages found: de, en, fr; give --so"
    ):
        read("spoken", "en", "it")


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("ted_hrlr_translate/pt_to_en", "pt", "en"),
        ("wmt16_translate/de-en", "en", "de"),
        ("para_crawl/enfr", "fr", "en"),
    ],
)
def test_published_sets_have_the_features_looked_for(
    monkeypatch: pytest.MonkeyPatch, name: str, source: str, target: str
) -> None:
    monkeypatch.setattr("pipelines.datasets.tfds_reader._probe", lambda *_: None)
    # What splits a set has stands with its files, which are not here.
    monkeypatch.setattr(
        "pipelines.datasets.tfds_pairs.own_splits", lambda *_: ({"train": "train"}, ())
    )
    with tfds.testing.mock_data(num_examples=3):
        pairs, _ = read(name, source, target)
    assert len(pairs) == 3 and all(it.source and it.target for it in pairs)
