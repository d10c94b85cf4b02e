from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from pipelines.errors import EvaluationError
from pipelines.evaluation import translation_baselines as baselines
from pipelines.evaluation import translation_evidence as evidence
from pipelines.evaluation.words import WORD


def pairs(*sources):
    return [
        SimpleNamespace(source=source, target=f"target {number}")
        for number, source in enumerate(sources)
    ]


def test_the_nearest_source_is_exact_and_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(4)
    words = [f"w{number}" for number in range(30)]
    train = pairs(*(" ".join(random.choice(words, 8)) for _ in range(70)))
    texts = [" ".join(random.choice(words, 8)) for _ in range(40)]
    memory = baselines.TranslationMemory().fit(train)
    found = memory.predict(texts)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
    known = vectorizer.fit_transform(pair.source for pair in train).toarray()
    likeness = vectorizer.transform(texts).toarray() @ known.T
    assert list(found["translation"]) == [train[place].target for place in likeness.argmax(axis=1)]
    assert list(found["nearest"]) == [train[place].source for place in likeness.argmax(axis=1)]
    np.testing.assert_allclose(found["similarity"], likeness.max(axis=1), rtol=1e-5)
    monkeypatch.setattr(baselines, "_BLOCK_CELLS", 210)
    assert list(memory.predict(texts)["translation"]) == list(found["translation"])


def test_of_equally_near_ones_the_first_is_taken_and_no_likeness_gives_nothing():
    memory = baselines.TranslationMemory().fit(
        pairs("a dog ran", "a cat sat", "a cat sat"), pairs("my horse")
    )
    found = memory.predict(["a cat sat", "Zebras!", "", "a horse"])
    assert list(found["translation"]) == ["target 1", "", "", "target 0"]
    assert found["similarity"][0] == pytest.approx(1.0)
    assert list(found["similarity"][1:3]) == [0, 0]
    assert np.isnan(found["score"]).all()
    assert found["complete"].all()
    assert memory.predict([])["translation"].shape == (0,)


def test_more_pairs_than_allowed_are_thinned_and_it_is_said():
    memory = baselines.TranslationMemory(max_pairs=2).fit(
        pairs("a one", "two", "three"), pairs("b")
    )
    assert list(memory.sources_) == ["a one", "three"]
    assert memory.notes == ["2 of 4 training pairs used, evenly spaced"]


def test_sources_without_words_are_refused():
    with pytest.raises(EvaluationError, match="none of 2 training sources.*check the training"):
        baselines.TranslationMemory().fit(pairs("...", ""))


def test_copies_are_the_sources():
    found = baselines.copy_source(["a", ""])
    assert list(found["translation"]) == ["a", ""]
    assert sorted(found) == ["complete", "score", "translation"]


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("", set()),
        ("one", set()),
        ("very very good", set()),
        ("holy, holy, holy", {1}),
        ("a b a b", {2}),
        ("he said that he said that he went", {3}),
        ("a b c a b", set()),
        ("no no no no", {1, 2}),
    ],
)
def test_loops(text, sizes):
    assert evidence.loops(evidence.words_of(text)) == sizes


def test_loops_of_the_reference_are_no_fault():
    assert not evidence.repeats("Saint, saint, saint !", "saint saint saint")
    assert evidence.repeats("saint saint saint saint", "saint saint saint")
    assert evidence.repeats("un jour un jour", "un jour")


def test_rows_are_binned_by_the_rarest_word_of_their_source():
    counts = evidence.word_counts(["the The THE the the the the ark"])
    found = evidence.rarity_slices(["the", "the ark", "the dove", ""], counts)
    assert [list(part.rows) for part in found] == [
        [False, False, True, False],
        [False, True, False, False],
        [True, False, False, True],
    ]
    lengths = evidence.length_slices(["a", "a b", "a b c d"], bins=3)
    assert [part.name for part in lengths] == ["1", "2", "4"]
