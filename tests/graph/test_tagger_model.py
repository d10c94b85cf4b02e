"""The model of a tagger: what it is built of, where it starts, and how it is validated."""

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.batching import Batches
from pipelines.corpus import Ragged, write_corpus
from pipelines.feeding import predict_model
from pipelines.layers.crf import CRFLoss
from pipelines.text import tagger
from pipelines.text.tagger_encoding import encode_sentences
from pipelines.text.tagger_validation import TaggerValidation
from pipelines.text.token_features import TokenFeatures, ragged_tokens
from tests.graph.tiny_taggers import artifacts, rows

numpy = ops.convert_to_numpy
NAMES = [
    "Anna/B-n Berg/I-n saw/O Rome/B-p ./O",
    "San/B-p Juan/I-p and/O Bo/B-n",
    "Bo/B-n left/O",
]
CLASSES = ["the/D man/N saw/V", "a/D dog/N is/V red/A"]


def build(train=NAMES, *, spans=True, seed=1, **settings):
    config, made = artifacts(train, spans=spans, **settings)
    keras.utils.set_random_seed(seed)
    return config, made, tagger.build(config, made)


def inputs_of(model, made, *sentences):
    features = TokenFeatures(made).dense(ragged_tokens([text.split() for text in sentences]))
    return {tensor.name: features[tensor.name] for tensor in model.inputs}


VARIANTS = {
    "bare": {"character_encoder": "none", "casing_size": 0, "affix_size": 0},
    "lstm": {"character_encoder": "lstm"},
    "joint": {"linear": True},
    "softmax": {"decoder": "softmax"},
    "frozen": {"freeze_vectors": True, "embedding_size": 5},
    "deep": {"depth": 2, "cell": "gru", "span_scheme": "bio"},
}
ALL = {"words", "characters", "casing", "habits", "affixes"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_answers_a_path_and_trains_without_its_decoder(variant):
    config, made, model = build(**VARIANTS[variant])
    names = {tensor.name for tensor in model.inputs}
    expected = {"bare": {"words"}, "joint": {*ALL, "clues"}}.get(variant, ALL)
    assert names == expected
    given = inputs_of(model, made, "Anna saw Rome .", "Bo")
    codes, left, right = map(numpy, model(given))
    assert codes.shape == left.shape == right.shape == (2, 4)
    assert ((codes > 0) == [[True] * 4, [True] + [False] * 3]).all()
    learner = tagger.learner(model, config)
    assert {tensor.name for tensor in learner.inputs} == names - {"clues"}
    potentials = numpy(learner({name: given[name] for name in names - {"clues"}}))
    assert potentials.shape == (2, 4, len(made.labels), len(made.labels))
    shared = {weight.path for weight in model.trainable_weights}
    assert {weight.path for weight in learner.trainable_weights} == shared


def test_training_without_a_crf_is_cross_entropy_and_its_answers_are_legal():
    config, made, model = build(decoder="softmax", span_scheme="bio")
    given = inputs_of(model, made, "Anna Berg saw")
    free = numpy(tagger.learner(model, config)(given))[0]
    assert (free[1:] > -1e20).all()  # every step is possible, so that the loss stays finite
    emissions = numpy(keras.Model(model.inputs, model.get_layer("emissions").output)(given))[0]
    np.testing.assert_allclose(
        np.exp(emissions) / np.exp(emissions).sum(-1, keepdims=True),
        np.exp([free[0, 0], free[1, 0], free[2, 0]]), rtol=1e-4,
    )  # fmt: skip
    assert model.get_layer("crf").weights == []


def test_training_changes_what_is_answered():
    """The learner and the whole model are one set of weights."""
    config, _, model = build(NAMES)
    learner = tagger.learner(model, config)
    bias = learner.get_layer("emissions").bias
    bias.assign(np.arange(bias.shape[0]))
    np.testing.assert_array_equal(model.get_layer("emissions").bias, bias)


def test_a_portable_twin_takes_the_weights_and_answers_alike():
    config, made, model = build(linear=True)
    twin = tagger.build(config, made, portable=True)
    twin.set_weights(model.get_weights())
    given = inputs_of(model, made, "Anna saw Rome .", "San Juan")
    for one, other in zip(model(given), twin(given), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_padding_changes_no_answer():
    _, made, model = build(freeze_vectors=True, linear=True)
    given = inputs_of(model, made, "Anna Berg saw Rome .", "Bo")
    alone = [numpy(part)[0] for part in model(inputs_of(model, made, "Bo"))]
    wide = {
        name: np.pad(value, [(0, 0), (0, 3), *[(0, 0)] * (value.ndim - 2)])
        for name, value in given.items()
    }
    for one, single in zip(model(wide), alone, strict=True):
        np.testing.assert_allclose(numpy(one)[1, :1], single, atol=1e-5)
        assert not numpy(one)[1, 1:].any()


def test_frozen_vectors_tell_words_apart_that_training_lacks():
    from pipelines.datasets.tagged import TaggedSentence

    extra = [TaggedSentence(("Oslo", "Lima", "Oslo", "Lima"), ())]
    config, made, model = build(extra=extra, freeze_vectors=True)
    known = made.settings["known_words"]
    assert model.get_layer("own_vectors").input_dim == known
    assert model.get_layer("embedding").input_dim == len(made.words) == known + 2
    assert not model.get_layer("embedding").trainable_weights
    before = numpy(keras.Model(model.inputs, model.get_layer("tokens").output)(
        inputs_of(model, made, "Oslo Lima oslo")
    ))  # fmt: skip
    half = config.embedding_size // 2
    assert (before[0, 0, :half] != before[0, 1, :half]).any()
    np.testing.assert_array_equal(before[0, 0, half : 2 * half], before[0, 1, half : 2 * half])


def test_given_vectors_are_taken(tmp_path):
    path = tmp_path / "words.vec"
    path.write_text("2 3\nanna 1 2 3\nbo 4 5 6\n")
    config, made, model = build(embeddings=str(path))
    tagger.warm_start(model, config, made, [])
    matrix = model.get_layer("embedding").get_weights()[0]
    ids = [made.words.encode_token(word) for word in ("anna", "bo")]
    np.testing.assert_array_equal(matrix[ids], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("pretrain", [True, False])
def test_word_vectors_start_from_texts_if_wanted(pretrain):
    config, made, model = build(pretrain=pretrain)
    before = model.get_layer("embedding").get_weights()[0]
    seen = np.array([made.words.encode_token(word) for word in ("anna", "saw", "rome", "bo")])
    ids = np.random.default_rng(0).choice(seen[:3], 3000, p=[0.5, 0.3, 0.2]).astype("int32")
    tagger.warm_start(model, config, made, [Ragged(ids, np.full(300, 10))])
    after = model.get_layer("embedding").get_weights()[0]
    changed = (after != before).any(axis=1)
    assert changed[seen].tolist() == [pretrain] * 3 + [False]  # "bo" stands in no text
    assert not changed[:4].any()


def test_first_weights_depend_on_the_seed_alone():
    tables = ("casing_vectors", "habits_vectors", "affix_vectors", "embedding")

    def start(seed):
        _, _, model = build(seed=seed)
        return [model.get_layer(name).get_weights()[0] for name in tables]

    one, again, other = start(1), start(1), start(2)
    for name, first, same, different in zip(tables, one, again, other, strict=True):
        np.testing.assert_array_equal(first, same)
        assert (first != different).any(), name
    assert (one[0] != one[1][: len(one[0])]).any(), "two tables start alike"


def always(made, codes):
    """A model that knows the tag of every word."""
    table = np.ones(len(made.words), "int32")
    for word, code in codes.items():
        table[made.words.encode_token(word)] = made.labels.tokens.index(code) + 1
    words = keras.Input((None,), dtype="int32", name="words")
    known = keras.layers.Embedding(len(table), 1, weights=[table[:, None]])(words)[:, :, 0]
    return keras.Model({"words": words}, [ops.cast(known, "int32")] * 3)


def validated(tmp_path, train, valid, codes, *, spans, **settings):
    config, made, whole = build(train, spans=spans, **settings)
    learner = tagger.learner(whole, config)
    learner.compile(loss=CRFLoss(), jit_compile=False)
    corpus = write_corpus(tmp_path / "valid", encode_sentences(rows(*valid), made, "valid"))
    names = tuple(tensor.name for tensor in learner.inputs)
    batches = Batches(
        corpus, length_of="words", inputs=names, target="tags", batch_tokens=8, seed=None
    )
    return TaggerValidation(always(made, codes), made, spans=spans)(learner, batches)


def test_accuracy_of_words_by_hand(tmp_path):
    valid = ["the/D man/N saw/N", "a/D", "red/A red/X man/D dog/N is/V"]
    codes = {"the": "D", "a": "D", "man": "N", "dog": "N", "saw": "V", "is": "V", "red": "A"}
    found = validated(tmp_path, CLASSES, valid, codes, spans=False)
    # Wrong are "saw", the "red" of a class that training lacks, and "man".
    assert found["accuracy"] == pytest.approx(6 / 9)
    assert set(found) == {"loss", "accuracy"}


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
def test_strict_f1_of_spans_by_hand(tmp_path, scheme):
    letters = {"bio": {"first": "B-n", "last": "I-n", "only": "B-n", "place": "B-p"}}
    letters["bioes"] = {"first": "B-n", "last": "E-n", "only": "S-n", "place": "S-p"}
    said = letters[scheme]
    train = [*NAMES, "Rome/B-p Bo/B-n"]
    codes = {"anna": said["first"], "berg": said["last"], "bo": said["only"], "rome": said["place"]}
    codes |= dict.fromkeys(("saw", ".", "left", "and", "san", "juan"), "O")
    valid = [
        "Anna/B-n Berg/I-n saw/O Bo/B-n",  # 2 right
        "San/B-p Juan/I-p left/O",  # 1 missed
        "Rome/B-n and/O Rome/B-p",  # 1 of another type, 1 right
        "Bo/O saw/B-z Bo/B-n",  # 1 too many, 1 of a type that training lacks, 1 right
    ]
    found = validated(tmp_path, train, valid, codes, spans=True, span_scheme=scheme)
    right, said_count, gold = 4, 6, 7
    assert found["f1"] == pytest.approx(2 * right / (said_count + gold))
    assert set(found) == {"loss", "f1"}


def test_the_loss_is_of_sentences_whose_tags_the_model_has(tmp_path):
    lacking = ["Bo/O saw/B-z Bo/B-n", "Bo/B-z", "left/O Anna/B-n Berg/B-z"]
    whole, known, nothing = (
        validated(tmp_path / name, NAMES, valid, {}, spans=True, span_scheme="bioes")
        for name, valid in (("all", [*NAMES, *lacking]), ("known", NAMES), ("none", lacking))
    )
    assert whole["loss"] == pytest.approx(known["loss"], rel=1e-5)
    assert np.isfinite(nothing["loss"])


def test_answers_come_in_the_order_of_the_rows_whatever_their_length(tmp_path):
    lengths = np.array([5, 1, 3, 1, 9, 2, 4])
    values = np.arange(1, lengths.sum() + 1, dtype=np.uint16)
    corpus = write_corpus(
        tmp_path / "corpus", [{"words": Ragged(values, lengths), "tags": Ragged(values, lengths)}]
    )
    words = keras.Input((None,), dtype="int32", name="words")
    model = keras.Model({"words": words}, [words, words[:, :, None] * 2, words[:, 0]])
    batches = Batches(
        corpus, length_of="words", inputs=("words",), target="tags", batch_tokens=8, seed=None
    )
    assert len(batches) > 2
    flat, deep, first = predict_model(model, batches)
    for row, expected in enumerate(np.split(values, np.cumsum(lengths)[:-1])):
        padded = np.pad(expected, (0, 9 - len(expected)))
        np.testing.assert_array_equal(flat[row], padded)
        np.testing.assert_array_equal(deep[row, :, 0], 2 * padded)
        assert first[row] == expected[0]
