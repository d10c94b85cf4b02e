"""What a translator answers; its weights are random, so answers are odd but must agree."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.text.vocabulary import RESERVED, Vocabulary
from pipelines.translation import translator
from pipelines.translation.artifacts import TranslationArtifacts
from pipelines.translation.serving import BLOCK_ROWS, TranslationServing
from pipelines.translation.translator_config import TranslatorConfig

SOURCE = Vocabulary((*RESERVED, "the", "small", "dog", "sees", "king", "river", "."))
TARGET = Vocabulary((*RESERVED, "Le", "petit", "chien", "voit", "roi", "fleuve", "donc"))
SETTINGS = {
    "level": "word", "lowercase": True, "max_tokens": 20, "source_language": "en",
    "target_language": "fr",
}  # fmt: skip
TEXTS = ["the small dog sees the king .", "the river .", "king", "the king sees the small river ."]


def serving(**changes):
    options = {
        "level": "word", "units": 5, "decoder_units": 6, "embedding_size": 4, "max_tokens": 20,
        "beam": 3, "length_penalty": 0.0, "seed": 5,
    }  # fmt: skip
    config = TranslatorConfig(**options | changes)
    artifacts = TranslationArtifacts(SOURCE, TARGET, SETTINGS, {})
    keras.utils.set_random_seed(5)
    model = translator.build(config, artifacts, portable=True)
    rng = np.random.default_rng(3)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(size=weight.shape, scale=0.9))
    return TranslationServing(model, artifacts, config)


@pytest.fixture(scope="module")
def served():
    """The endpoints as compiled functions from lists to arrays."""
    return compiled(serving())


def compiled(translation):
    functions = {
        name: tf.function(entry.function, list(entry.inputs.values()), autograph=False)
        for name, entry in translation.endpoints().items()
    }

    def call(name, *columns):
        found = functions[name](*(tf.constant(column, tf.string) for column in columns))
        return {key: value.numpy() for key, value in found.items()}

    return call


def texts_of(strings):
    return [text.decode() for text in strings]


def test_the_best_of_n_is_the_answer(served):
    one, several = served("serve", TEXTS), served("n_best", TEXTS)
    assert texts_of(one["translation"]) == texts_of(several["translations"][:, 0])
    np.testing.assert_allclose(one["score"], several["scores"][:, 0], rtol=1e-5)
    assert several["translations"].shape == (4, 3)
    assert (np.diff(several["scores"], axis=1) <= 1e-6)[several["complete"][:, 1:]].all()


def test_search_is_at_least_as_probable_as_greed(served):
    best, greedy = served("serve", TEXTS), served("greedy", TEXTS)
    both = best["complete"] & greedy["complete"]
    assert both.any()
    assert (best["score"] >= greedy["score"] - 1e-5)[both].all()


def test_the_score_of_an_answer_is_its_probability(served):
    """Step by step in the search, all at once in `score`: the same model."""
    found = served("serve", TEXTS)
    whole = [row for row in range(4) if found["complete"][row]]
    assert whole
    answers = texts_of(found["translation"])
    scored = served("score", [TEXTS[row] for row in whole], [answers[row] for row in whole])
    np.testing.assert_allclose(scored["log_probability"], found["score"][whole], rtol=1e-4)
    assert (scored["tokens"] >= 1).all()


def test_a_row_has_the_answer_it_has_alone(served):
    many = (TEXTS * (2 * BLOCK_ROWS))[: 2 * BLOCK_ROWS + 3]
    together = served("serve", many)
    alone = [served("serve", [text]) for text in TEXTS]
    for row, text in enumerate(texts_of(together["translation"])):
        assert text == alone[row % 4]["translation"][0].decode()
        np.testing.assert_allclose(together["score"][row], alone[row % 4]["score"][0], rtol=1e-4)


def test_attention_names_tokens_and_sums_to_one(served):
    found = served("attention", ["the small dog .", "king"], ["Le petit chien donc", "Le roi"])
    assert texts_of(found["source_tokens"][1]) == ["king", "<eos>", "", "", ""]
    assert texts_of(found["target_tokens"][1]) == ["Le", "roi", "<eos>", "", ""]
    np.testing.assert_allclose(found["weights"].sum(axis=2)[0], 1.0, atol=1e-5)
    np.testing.assert_allclose(found["weights"].sum(axis=2)[1], [1, 1, 1, 0, 0], atol=1e-5)
    assert not found["weights"][1, :, 2:].any()


ODD = {
    "empty": "", "blank": " \t ", "unknown": "ξένος λόγος", "mixed": "the 犬 sees מלך .",
    "control": "the\x00dog\x07 sees\u200e", "emoji": "👩‍👩‍👧 🇫🇷",
}  # fmt: skip


def test_odd_texts_have_answers(served):
    found = served("serve", list(ODD.values()))
    assert len(found["translation"]) == len(ODD)
    assert np.isfinite(found["score"]).all()


def test_a_text_too_long_is_marked(served):
    found = served("serve", ["the king sees " * 1700, "the king ."])
    assert found["complete"][0] == np.False_
    scored = served("score", ["the king ."] * 2, ["le roi " * 30, "le roi"])
    assert scored["complete"].tolist() == [False, True]
    several = served("n_best", ["the king sees " * 1700])
    assert not several["complete"].any()


def test_an_answer_that_reaches_the_longest_length_is_marked():
    translation = serving(length_factor=0.1)
    translation.decoder.output_layer.bias.assign([0, 0, 0, -99.0, *[0] * 7])  # never ends
    found = compiled(translation)("serve", ["the king ."])
    assert not found["complete"][0]


def test_no_rows_have_no_answers(served):
    for name in ("serve", "greedy", "n_best"):
        assert all(len(values) == 0 for values in served(name, []).values())
    assert len(served("score", [], [])["tokens"]) == 0


def test_without_attention_there_is_none_to_show():
    translation = serving(attention="none")
    assert "attention" not in translation.endpoints()
    found = compiled(translation)("serve", TEXTS)
    assert len(set(texts_of(found["translation"]))) > 1  # the source matters


@pytest.mark.parametrize(
    "changes", [{"input_feeding": True}, {"attention": "additive", "tied": False}], ids=str
)
def test_other_decoders_agree_with_themselves_too(changes):
    call = compiled(serving(**changes))
    found = call("serve", TEXTS)
    rows = np.flatnonzero(found["complete"])
    answers = texts_of(found["translation"])
    scored = call("score", [TEXTS[row] for row in rows], [answers[row] for row in rows])
    np.testing.assert_allclose(scored["log_probability"], found["score"][rows], rtol=1e-4)
