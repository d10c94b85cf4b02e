"""How a captioner is judged as it is trained, and how its bank is filled and weighed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from pipelines.captioning import banking, validation
from pipelines.captioning.banking import fill_bank, weigh_votes
from pipelines.captioning.captioner import learner
from pipelines.captioning.serving import CaptionServing
from pipelines.captioning.validation import (
    caption_objective,
    column_of,
    evenly_spaced,
    references_of,
    words_of,
    writer_of,
    written,
    written_score,
)
from pipelines.corpus import Ragged, Shared, write_corpus
from pipelines.evaluation.caption_cider import CiderD
from pipelines.text.vocabulary import RESERVED, Vocabulary
from tests.graph.tiny_captioners import PICTURES, WORDS, artifacts_of, config_of, model_of

# Captions of five images, one to three each.
REFERENCES = [
    ["a red dog", "red dog"],
    ["a green cup"],
    ["a dog sees a cup", "green cup", "a dog"],
    ["red cup"],
    ["cup sees cup", "dog"],
]
PLACES = [place for place, captions in enumerate(REFERENCES) for _ in captions]


def ids_of(caption):
    return [WORDS.tokens.index(word) for word in caption.split()]


def ragged(rows):
    values = np.concatenate([np.array(row, np.uint16) for row in rows])
    return Ragged(values, np.array([len(row) for row in rows]))


SHARES = (0.5, 0.5, 1.0, 1.0, 1.0)  # the first two images are variants of one


def corpus_of(folder, values, column="image"):
    """Write images, or a frozen encoder's maps, and their captions in two parts."""
    chunks = []
    for images in (range(3), range(3, 5)):
        texts = [(image, ids_of(text)) for image in images for text in REFERENCES[image]]
        chunks.append(
            {
                "caption_in": ragged([[2, *ids] for _, ids in texts]),
                "caption_out": ragged([[*ids, 3] for _, ids in texts]),
                "share": np.array([SHARES[image] for image, _ in texts], np.float32),
                column: Shared(
                    values[images.start : images.stop],
                    np.array([image - images.start for image, _ in texts]),
                ),
            }
        )
    return write_corpus(folder / "corpus", chunks)


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    """A captioner with random weights, five images it can see, and what it sees in them."""
    config = config_of(beam=4)
    model = model_of(config)
    serving = CaptionServing(model, artifacts_of(config), config)
    pixels = serving.reader(tf.constant(PICTURES)).numpy()
    memory = serving.encoder(pixels, training=False)[0].numpy()
    artifacts, corpus = artifacts_of(config), corpus_of(tmp_path_factory.mktemp("images"), pixels)
    return SimpleNamespace(**locals())


def references(captioner, images=range(5)):
    return references_of(captioner.corpus, "image", np.array(images), captioner.artifacts)


def test_references_are_the_captions_of_each_image(captioner):
    wanted = [[text.split() for text in texts] for texts in REFERENCES]
    assert references(captioner) == wanted
    assert references(captioner, [0, 2, 4]) == [wanted[at] for at in (0, 2, 4)]


@pytest.mark.parametrize(
    ("level", "tokens", "words"),
    [
        ("word", ("man", ":", "Dark", "skin"), ["man", "dark", "skin"]),
        ("char", ("a", "b", " ", "c"), ["ab", "c"]),
        ("subword", ("\u2581sun", "flower", "\u2581in", ","), ["sunflower", "in"]),
    ],
)
def test_words_are_those_of_the_report(level, tokens, words):
    """Reserved tokens are none, and neither is punctuation."""
    known = artifacts_of(config_of())
    known = replace(
        known,
        vocabulary=Vocabulary((*RESERVED, *tokens)),
        settings={**known.settings, "level": level},
    )
    assert words_of(np.array([2, 4, 5, 6, 7, 1, 3, 0, 0]), known) == words


def test_no_more_images_are_judged_than_asked_for():
    np.testing.assert_array_equal(evenly_spaced(5, 500), np.arange(5))
    np.testing.assert_array_equal(evenly_spaced(9, 3), [0, 4, 8])
    assert len(evenly_spaced(10_000, 500)) == 500


def test_what_is_written_is_judged_as_it_is_served(captioner):
    """By CIDEr-D of greedy captions, of all images or of some."""
    greedy = captioner.serving.endpoints()["greedy"].function
    texts = greedy(tf.constant(PICTURES))["caption"].numpy()
    captions = [text.decode().split() for text in texts]
    assert any(captions)
    writer = writer_of(captioner.model, captioner.config, column="image", beams=1)
    for most, images in ((500, range(5)), (3, (0, 2, 4))):
        judge = CiderD(references(captioner, images))
        weights = [SHARES[at] for at in images]
        wanted = np.average(judge.score([captions[at] for at in images]), weights=weights)
        found = written_score(writer, captioner.corpus, "image", most, captioner.artifacts)
        assert found == pytest.approx(wanted, rel=1e-6)
    assert wanted > 0


def test_above_a_frozen_encoder_the_same_is_written(captioner, tmp_path):
    corpus = corpus_of(tmp_path, captioner.memory, "features")
    assert column_of(corpus.names) == "features"
    found = []
    for column, source in (("image", captioner.corpus), ("features", corpus)):
        writer = writer_of(captioner.model, captioner.config, column=column, beams=4)
        found.append(list(written(writer, source, column, np.arange(5))))
    for one, other in zip(*(parts[0] for parts in found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)
    np.testing.assert_allclose(found[0][0][0], captioner.memory.mean(axis=1), rtol=1e-4)
    assert found[0][0][1].shape[:2] == (5, 4)


def test_next_words_told_rightly_choose_the_epoch(captioner, monkeypatch):
    """Beside it stands how probable the captions of the split are."""
    told = {"loss": 1.5, "perplexity": 4.0}
    monkeypatch.setattr(validation, "evaluate_model", lambda judge, batches: dict(told))
    trained = learner(captioner.model, captioner.config)
    monkeypatch.setattr(validation, "written_score", lambda *given: asked.append(given) or 0.5)
    asked = []
    objective = caption_objective(captioner.model, captioner.config, trained, captioner.artifacts)
    found = objective.validate(trained, SimpleNamespace(corpus=captioner.corpus))
    assert found == told | {"cider_d": 0.5}
    assert asked[0][1:] == (captioner.corpus, "image", 500, captioner.artifacts)
    assert (objective.monitor, objective.better) == ("accuracy", "higher")
    assert objective.improves(0.2, 0.1)


@pytest.mark.parametrize("column", ["image", "features"])
def test_the_bank_holds_captions_with_what_their_own_images_look_like(captioner, column, tmp_path):
    """A bank of four of nine captions, evenly drawn; two of them are of one image."""
    corpus = captioner.corpus
    if column == "features":
        corpus = corpus_of(tmp_path, captioner.memory, column)
    fill_bank(captioner.model, corpus)
    bank = captioner.model.get_layer("bank")
    captions = [[*ids_of(text), 3] for texts in REFERENCES for text in texts]
    drawn = [0, 2, 5, 8]
    assert [PLACES[row] for row in drawn] == [0, 1, 2, 4]
    wanted = np.zeros(bank.captions.shape, np.int32)
    for place, row in enumerate(drawn):
        wanted[place, : len(captions[row])] = captions[row]
    np.testing.assert_array_equal(bank.captions, wanted)
    summaries = captioner.memory.mean(axis=1)[[PLACES[row] for row in drawn]]
    np.testing.assert_allclose(bank.features, summaries, rtol=1e-4, atol=1e-4)


def test_captions_of_one_image_share_its_features(captioner, monkeypatch):
    bank = captioner.model.get_layer("bank")
    monkeypatch.setattr(banking, "ROWS", 2)  # images are looked at in parts
    taken = {}
    wide = SimpleNamespace(
        settings={"entries": 9, "longest": 6},
        fill=lambda features, captions: taken.update(features=features, captions=captions),
    )
    model = SimpleNamespace(
        get_layer=lambda name: wide if name == "bank" else captioner.model.get_layer(name)
    )
    fill_bank(model, captioner.corpus)
    summaries = captioner.memory.mean(axis=1)[PLACES]
    np.testing.assert_allclose(taken["features"], summaries, rtol=1e-4, atol=1e-4)
    assert taken["captions"][4].tolist() == [*ids_of("green cup"), 3, 0, 0, 0]
    assert bank.settings["entries"] == 4


def weigh(captioner):
    weigh_votes(captioner.model, captioner.config, captioner.corpus, captioner.artifacts)


CHOICES = [(0.0, 1.0, 0.0), (0.0, 1.0, 1.0), (0.5, 0.5, 1.0), (1.0, 0.05, 1.0)]


def test_votes_are_weighed_by_what_they_write(captioner, caplog, monkeypatch):
    monkeypatch.setattr(banking, "_choices", lambda: CHOICES)
    fill_bank(captioner.model, captioner.corpus)
    bank = captioner.model.get_layer("bank")
    judge = CiderD(references(captioner))
    writer = writer_of(captioner.model, captioner.config, column="image", beams=4)
    ((summary, tokens, scores),) = written(writer, captioner.corpus, "image", np.arange(5))

    def quality(vote):
        bank.set_vote(*vote)
        best = np.asarray(bank.rank(summary, tokens, scores)).argmax(axis=1)
        chosen = [tokens[row, at] for row, at in enumerate(best)]
        found = judge.score([words_of(text, captioner.artifacts) for text in chosen])
        return np.average(found, weights=SHARES)

    found = [quality(vote) for vote in CHOICES]
    assert max(found) > found[0]  # the search's own order is not the best
    with caplog.at_level("INFO"):
        weigh(captioner)
    np.testing.assert_allclose(bank.vote, CHOICES[int(np.argmax(found))], rtol=1e-6)
    assert f"CIDEr-D {max(found):.3f} on the validation split" in caplog.text
    serve = captioner.serving.endpoints()["serve"].function
    texts = serve(tf.constant(PICTURES))["caption"].numpy()
    served = judge.score([text.decode().split() for text in texts])
    assert np.average(served, weights=SHARES) == pytest.approx(max(found), rel=1e-6)


def test_where_nothing_is_better_the_search_decides(captioner, monkeypatch):
    monkeypatch.setattr(banking, "_choices", lambda: [CHOICES[0], (0.0, 0.5, 0.0)])
    bank = captioner.model.get_layer("bank")
    bank.set_vote(1.0, 0.5, 1.0)
    weigh(captioner)
    np.testing.assert_array_equal(bank.vote, CHOICES[0])


def test_the_search_alone_is_the_first_choice():
    choices = banking._choices()
    assert choices[0] == (0.0, 1.0, 0.0)
    assert len(set(choices)) == len(choices)
    assert all(temperature > 0 for _, _, temperature in choices[1:])
