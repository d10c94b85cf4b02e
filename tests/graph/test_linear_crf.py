"""The linear part of a tagger against CRFsuite itself, and how it is weighed."""

import itertools
import random
import shutil

import keras
import numpy as np
import pycrfsuite
import pytest
from keras import ops

from pipelines.batching import Batches
from pipelines.corpus import write_corpus
from pipelines.feeding import predict_model
from pipelines.layers.crf import NEVER, negative_log_likelihood
from pipelines.layers.crf_decoding import viterbi
from pipelines.text import linear_crf, tagger
from pipelines.text.linear_crf import fit_linear_crf, weigh_parts
from pipelines.text.tagger_encoding import encode_sentences
from tests.graph.tiny_taggers import artifacts, rows

numpy = ops.convert_to_numpy
WORDS = {
    "D": ["the", "a", "no"], "A": ["old", "fast", "red"], "N": ["man", "dog", "fast", "run"],
    "V": ["run", "saw", "is"], "P": [".", "!"],
}  # fmt: skip


def written(count, seed):
    """Sentences whose ambiguous words are told by their neighbours, a tenth of the tags wrong."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        pattern = rng.choice(["DNVP", "DANVDNP", "NVDAN", "DAAN", "V"])
        tags = [tag if rng.random() > 0.1 else rng.choice("DANVP") for tag in pattern]
        words = [rng.choice(WORDS[tag]) for tag in pattern]
        words = [word.title() if rng.random() < 0.2 else word for word in words]
        found.append(" ".join(f"{word}/{tag}" for word, tag in zip(words, tags, strict=True)))
    return found


def make(folder, train, valid, *, spans=False, **settings):
    """A joint tagger, and encoded sentences to train and to weigh it with."""
    settings = {"linear": True, "linear_penalty": 0.3, **settings}
    config, made = artifacts(train, spans=spans, **settings)
    keras.utils.set_random_seed(1)
    model = tagger.build(config, made)
    corpora = {
        name: write_corpus(folder / name, encode_sentences(rows(*part), made, name))
        for name, part in (("train", train), ("valid", valid))
    }
    return model, made, corpora


def batches(model, corpus, tokens=512):
    return Batches(
        corpus,
        length_of="words",
        inputs=tuple(tensor.name for tensor in model.inputs),
        target="tags",
        batch_tokens=tokens,
        seed=None,
    )


def fit(model, made, corpora, penalty=0.3):
    fit_linear_crf(model, corpora["train"], made.labels.tokens, penalty=penalty)


def chain_codes(model, corpus):
    """Tags of the linear part alone, coded from 1, flat."""
    chain = model.get_layer("linear_crf").output
    best = keras.layers.Lambda(lambda p: viterbi(p)[0], output_shape=lambda shape: shape[:2])
    alone = keras.Model([model.get_layer(name).output for name in ("words", "clues")], best(chain))
    found = predict_model(alone, batches(alone, corpus))
    return found[np.arange(found.shape[1]) < corpus.lengths("tags")[:, None]] + 1


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where the file is kept that CRFsuite writes."""
    path = tmp_path / "kept.crfsuite"

    class Kept(pycrfsuite.Trainer):
        def train(self, model, holdout=-1):
            super().train(model, holdout)
            shutil.copy(model, path)

    monkeypatch.setattr(linear_crf.pycrfsuite, "Trainer", Kept)
    return path


def test_the_graph_finds_the_very_paths_of_crfsuite(tmp_path, kept):
    model, made, corpora = make(tmp_path, written(120, 0), written(300, 1))
    fit(model, made, corpora)
    own = pycrfsuite.Tagger()
    own.open(str(kept))
    clues, lengths = corpora["valid"].ragged("clues").values, corpora["valid"].lengths("clues")
    expected = []
    for sentence in np.split(clues, np.cumsum(lengths)[:-1]):
        expected += own.tag([[str(clue) for clue in word] for word in sentence])
    found = chain_codes(model, corpora["valid"])
    assert [made.labels.tokens[code - 1] for code in found] == expected
    assert len(set(expected)) == 5


def test_it_learns_what_the_features_tell(tmp_path):
    clean = [
        " ".join(f"{word}/{tag}" for word, tag in zip(words, "DANV", strict=True))
        for words in itertools.product(["the", "no"], ["old", "fast"], ["man", "fast"], ["is"])
    ]
    model, made, corpora = make(tmp_path, clean, clean[:2])
    before = chain_codes(model, corpora["train"])
    fit(model, made, corpora, penalty=0.01)
    gold = corpora["train"].ragged("tags").values
    assert (before == gold).mean() < 0.9
    np.testing.assert_array_equal(chain_codes(model, corpora["train"]), gold)


def test_a_larger_penalty_makes_smaller_weights(tmp_path):
    model, made, corpora = make(tmp_path, written(60, 0), written(2, 1))
    sizes = []
    for penalty in (0.01, 1.0, 100.0):
        fit(model, made, corpora, penalty=penalty)
        layer = model.get_layer("linear_emissions")
        sizes.append(float(np.square(layer.get_weights()[0]).sum()))
    assert sizes[0] > 2 * sizes[1] > 4 * sizes[2] > 0


def test_the_linear_part_is_set_once_and_not_trained(tmp_path):
    model, made, corpora = make(tmp_path, written(30, 0), written(2, 1))
    fit(model, made, corpora)
    trained = {weight.path for weight in model.trainable_weights}
    for name in ("linear_emissions", "linear_crf", "joint"):
        assert not {weight.path for weight in model.get_layer(name).weights} & trained
    chain = model.get_layer("linear_crf")
    assert np.abs(numpy(chain.transitions)).max() > 0.1
    assert not numpy(chain.start).any()  # CRFsuite has no such weights
    assert not numpy(chain.end).any()


def test_at_most_so_many_words_are_read(tmp_path, monkeypatch):
    _, _, corpora = make(tmp_path, written(30, 0), written(2, 1))
    lengths = corpora["train"].lengths("tags")
    monkeypatch.setattr(linear_crf, "MOST_WORDS", int(lengths[:7].sum()))
    found = linear_crf._sentences(corpora["train"])
    assert [len(tags) for _, tags in found] == lengths[:7].tolist()
    monkeypatch.setattr(linear_crf, "MOST_WORDS", 0)
    assert len(linear_crf._sentences(corpora["train"])) == 1


def loss_of(model, corpus):
    """Mean negative log-likelihood of a word, as a function of the weights of the two parts."""
    joint = model.get_layer("joint")
    parts = keras.Model(model.inputs, [model.get_layer("crf").output, joint.input[1]])
    known = [
        (np.asarray(tags) - 1, *map(numpy, parts(inputs, training=False)))
        for inputs, tags, _ in batches(model, corpus).epoch(0)
    ]

    def loss(mix):
        sums = (
            ops.sum(negative_log_likelihood(tags, mix[0] * first + mix[1] * second))
            for tags, first, second in known
        )
        return sum(map(float, sums)) / corpus.lengths("tags").sum()

    return loss


def randomise(model, *names):
    rng = np.random.default_rng(0)
    for name in names:
        layer = model.get_layer(name)
        layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])


def test_a_useless_part_gets_a_small_weight(tmp_path):
    model, made, corpora = make(tmp_path, written(100, 0), written(60, 1))
    fit(model, made, corpora)
    randomise(model, "embedding", "emissions", "crf")
    weigh_parts(model, batches(model, corpora["valid"]))
    mix = numpy(model.get_layer("joint").mix)
    assert 0 < mix[0] < 0.1 * mix[1]
    loss = loss_of(model, corpora["valid"])
    best = loss(mix)
    for worse in ([1, 1], [0.5, 0.5], [0.3, mix[1]], [mix[0], 2 * mix[1]], [mix[0], mix[1] / 2]):
        assert best < loss(worse)


def test_a_useless_linear_part_gets_a_small_weight(tmp_path):
    model, made, corpora = make(tmp_path, written(30, 0), written(60, 1))
    fit(model, made, corpora)
    randomise(model, "linear_emissions")
    weigh_parts(model, batches(model, corpora["valid"]))
    mix = numpy(model.get_layer("joint").mix)
    assert 0 < mix[1] < 0.1
    loss = loss_of(model, corpora["valid"])
    assert loss(mix) < loss([1, 1])


def test_weighing_reads_enough_words_and_no_more(tmp_path, monkeypatch):
    model, made, corpora = make(tmp_path, written(40, 0), written(40, 1))
    fit(model, made, corpora)
    few = batches(model, corpora["valid"], tokens=32)
    monkeypatch.setattr(linear_crf, "CALIBRATION_WORDS", 1)
    seen = []
    monkeypatch.setattr(
        keras.Model, "predict_on_batch", lambda self, x, _=keras.Model.predict_on_batch: (
            seen.append(1) or _(self, x)
        ),
    )  # fmt: skip
    weigh_parts(model, few)
    assert len(seen) == 1


def test_held_out_tags_that_the_model_lacks_do_not_spoil_the_weights(tmp_path):
    known = written(40, 1)
    lacking = ["the/D man/X is/V ./P", "old/X", "no/D dog/N saw/V !/X"]
    model, made, corpora = make(tmp_path, written(40, 0), known)
    fit(model, made, corpora)
    more = write_corpus(
        tmp_path / "more", encode_sentences(rows(*known[:20], *lacking, *known[20:]), made, "valid")
    )
    losses, loss = [], loss_of(model, corpora["valid"])
    for corpus in (corpora["valid"], more):
        weigh_parts(model, batches(model, corpus))
        losses.append(loss(numpy(model.get_layer("joint").mix)))
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_illegal_steps_stay_illegal_whatever_crfsuite_says(tmp_path):
    train = ["Anna/B-n Berg/I-n saw/O Rome/B-p ./O", "San/B-p Juan/I-p saw/O Bo/B-n"] * 3
    model, made, corpora = make(tmp_path, train, train[:2], spans=True, span_scheme="bio")
    fit(model, made, corpora)
    start, moves, _ = map(numpy, model.get_layer("linear_crf").tables())
    labels = made.labels.tokens
    for i, j in itertools.product(range(len(labels)), repeat=2):
        legal = labels[j][0] != "I" or labels[i][1:] == labels[j][1:]
        assert (moves[i, j] > NEVER / 2) == legal, (labels[i], labels[j])
    assert [labels[j] for j in np.flatnonzero(start < NEVER / 2)] == ["I-n", "I-p"]
