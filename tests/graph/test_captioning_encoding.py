"""How captioned images become numbers: what is stored, shared, told, and seen by the encoder."""

import io
import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console

from pipelines.captioning import encoding, serving, validation
from pipelines.captioning.captioner import build
from pipelines.captioning.encoding import encode_images, fit_caption_artifacts
from pipelines.captioning.image_side import (
    encoder_fingerprint,
    make_encoder,
    start_encoder,
)
from pipelines.captioning.serving import CaptionServing
from pipelines.corpus import write_corpus
from pipelines.datasets.captions_options import CaptionedImage
from pipelines.datasets.rows import Rows
from pipelines.errors import ConfigError
from pipelines.layers.sequence_losses import SmoothedCrossEntropy
from pipelines.phases import fit_phases
from pipelines.task import Prepared
from pipelines.training import Objective
from pipelines.workspace import Folders
from tasks.captioning import Captioning, CaptioningConfig
from tests.graph.tiny_captioners import (
    OPTIONS,
    PICTURES,
    artifacts_of,
    config_of,
    picture,
    png,
    rows_of,
    version_of,
)

CAPTIONS = [
    ("a red dog", "a dog sees blue"),
    ("green cup",),
    ("the cup to the left", "a green cup", "zebra"),
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return rows_of(tmp_path_factory.mktemp("pictures"), CAPTIONS)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Two versions of the task whose encoders differ, and their models."""
    home = tmp_path_factory.mktemp("captioning")
    first, model = version_of(home / "1", config_of())
    second, _ = version_of(home / "2", config_of(widths=(4, 8)))
    return first, second, model


@pytest.fixture(scope="module", autouse=True)
def one_reader_for_the_same_settings():
    """To trace a reader of images takes seconds."""
    readers, make = {}, encoding.image_reader

    def reader(artifacts):
        key = artifacts.settings["size"], artifacts.settings["fit"]
        return readers.setdefault(key, make(artifacts))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "image_reader", reader)
        patch.setattr(serving, "image_reader", reader)
        yield


def encoded(rows, config, folder):
    artifacts = artifacts_of(config)
    return write_corpus(folder / "corpus", encode_images(rows, artifacts, config, "train"))


def test_a_row_is_a_caption_and_its_image_is_stored_once(rows, tmp_path, monkeypatch):
    """Also where a split is encoded in several parts."""
    monkeypatch.setattr(encoding, "CHUNK_ROWS", 2)
    corpus = encoded(rows, config_of(), tmp_path)
    assert corpus.names == ["caption_in", "caption_out", "image", "flippable", "share"]
    pairs = corpus.gather(np.arange(6), ["caption_in", "caption_out"])
    np.testing.assert_array_equal(
        pairs["caption_in"][:4], [[2, 4, 5, 7, 0, 0], [2, 4, 7, 9, 10, 0], [2, 6, 8, 0, 0, 0],
                                  [2, 1, 8, 1, 1, 1]],
    )  # fmt: skip
    np.testing.assert_array_equal(pairs["caption_out"][0], [4, 5, 7, 3, 0, 0])
    np.testing.assert_array_equal(pairs["caption_out"][5], [1, 3, 0, 0, 0, 0])
    shared = corpus.shared("image")
    assert shared.values.shape == (3, 16, 16, 3)
    assert shared.values.dtype == np.uint8
    np.testing.assert_array_equal(shared.places, [0, 0, 1, 2, 2, 2])
    # A mirror image would make one of its captions false, so none of its rows may be mirrored.
    np.testing.assert_array_equal(corpus.column("flippable"), [1, 1, 1, 0, 0, 0])
    np.testing.assert_array_equal(corpus.column("share"), np.ones(6))


def test_variants_of_one_picture_count_together_as_one(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK_ROWS", 2)  # their number is known before the last is seen
    first, second, third = rows
    variants = [
        replace(first, group="dog"),
        replace(second, group="cup"),
        replace(third, group="dog"),
    ]
    corpus = encoded(Rows.of(CaptionedImage, variants), config_of(), tmp_path)
    np.testing.assert_array_equal(corpus.column("share"), [0.5, 0.5, 1, 0.5, 0.5, 0.5])


def files():
    """Return images of formats and shapes that a careless reader gets wrong."""
    rng = np.random.default_rng(0)
    clear = Image.fromarray(rng.integers(0, 256, (9, 31, 4), np.uint8), "RGBA")
    grey = Image.fromarray(rng.integers(0, 256, (40, 7), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    found = [png(picture(1, (33, 5)))]
    for image, kind, extra in ((clear, "PNG", {}), (grey, "JPEG", {}),
                               (clear.convert("RGB"), "JPEG", {"exif": turned})):  # fmt: skip
        stream = io.BytesIO()
        image.save(stream, kind, **extra)
        found.append(stream.getvalue())
    return found


def test_training_and_serving_see_the_same_pixels(tmp_path):
    contents, config = files(), config_of(consensus=False)
    rows = rows_of(tmp_path / "odd", [("a dog",)] * len(contents), contents)
    stored = encoded(rows, config, tmp_path).shared("image").values
    model = build(config, artifacts_of(config), portable=True)
    reader = CaptionServing(model, artifacts_of(config), config).reader
    served = reader(tf.constant(contents)).numpy()
    np.testing.assert_array_equal(served, stored)
    assert len({pixels.tobytes() for pixels in served}) == len(contents)


def test_captions_that_are_cut_are_told(rows, tmp_path, caplog):
    corpus = encoded(rows, config_of(max_tokens=5), tmp_path)
    assert "train: 2 captions have more than 5 tokens and were cut; --max-tokens" in caplog.text
    assert corpus.lengths("caption_in").max() <= 5


def test_the_vocabulary_is_that_of_the_captions(rows):
    artifacts = fit_caption_artifacts(rows, config_of(fit="crop"))
    words = {word for texts in CAPTIONS for text in texts for word in text.split()}
    assert set(artifacts.vocabulary.tokens[4:]) == words
    assert artifacts.captions == {text for texts in CAPTIONS for text in texts}
    assert artifacts.count == 6
    assert {key: artifacts.settings[key] for key in ("size", "fit", "encoder")} == {
        "size": 16, "fit": "crop", "encoder": "",
    }  # fmt: skip


def test_a_frozen_encoder_is_asked_once_and_serves_as_it_was(rows, versions, tmp_path):
    first, _, kept = versions
    config = config_of(frozen=True, encoder_weights=str(first), consensus=False)
    corpus = encoded(rows, config, tmp_path)
    assert "image" not in corpus.names
    maps = corpus.shared("features").values
    assert maps.shape == (3, 16, 6)
    model = build(config, artifacts_of(config), portable=True)
    start_encoder(model.get_layer("encoder"), config)
    endpoints = CaptionServing(model, artifacts_of(config), config).endpoints()
    served = endpoints["features"].function(tf.constant(PICTURES[:3]))
    np.testing.assert_allclose(served["features"], maps.mean(axis=1), rtol=1e-3)
    pixels = encoding.image_reader(artifacts_of(config))(tf.constant(PICTURES[:3]))
    same = kept.get_layer("encoder")(pixels, training=False)[0]
    np.testing.assert_allclose(same, maps, rtol=1e-3, atol=1e-3)


def test_what_identifies_an_encoder_changes_with_its_weights(versions, tmp_path):
    first, second, _ = versions
    found = [
        encoder_fingerprint(config_of(frozen=True, encoder_weights=str(version)))
        for version in (first, second, first)
    ]
    assert found[0] == found[2] != found[1]
    assert encoder_fingerprint(config_of(encoder_weights=str(first))) == ""  # nothing is kept


def test_weights_that_are_absent_are_told_before_anything_is_read(tmp_path):
    message = (
        "none: no assets.extra/model.keras in it; .* expected a version of this task, .* train"
    )
    config = config_of(frozen=True, encoder_weights=str(tmp_path / "none"))
    for check in (make_encoder, encoder_fingerprint):
        with pytest.raises(ConfigError, match=message):
            check(config)
    (tmp_path / "none").mkdir()
    begun = Captioning(CaptioningConfig(**OPTIONS, encoder_weights=str(tmp_path / "none")))
    with pytest.raises(ConfigError, match=message):
        begun.begin()


def test_an_encoder_of_other_settings_is_refused(versions):
    _, second, _ = versions
    config = config_of(encoder_weights=str(second))
    model = build(config, artifacts_of(config), portable=True)
    message = "its encoder is a ResidualEncoder with .* weights of other shapes.*give the --encoder"
    with pytest.raises(ConfigError, match=message):
        start_encoder(model.get_layer("encoder"), config)


def plain_objective(model, config, *_):
    """Judge by the loss alone: what is written is judged elsewhere, at a price."""
    loss = SmoothedCrossEntropy(config.label_smoothing)
    return Objective(loss, [], "value", validate=lambda trained, batches: {"value": next(rising)})


rising = itertools.count()


def test_fine_tuning_trains_the_encoder_in_the_second_part_only(
    rows, versions, tmp_path, monkeypatch
):
    monkeypatch.setattr(validation, "caption_objective", plain_objective)
    first, _, _ = versions
    settings = {
        "frozen": True, "encoder_weights": str(first), "fine_tune_epochs": 1, "epochs": 1,
        "consensus": False, "learning_rate": 0.05, "fine_tune_rate": 0.02, "schedule": "constant",
        "weight_average": 0.0,
    }  # fmt: skip
    task = Captioning(CaptioningConfig(**OPTIONS | settings))
    artifacts = artifacts_of(task.config)
    corpus = write_corpus(tmp_path / "corpus", task.encode(rows, artifacts, "train"))
    assert {"image", "features"} <= set(corpus.names)  # of both parts
    known = SimpleNamespace(card=SimpleNamespace(fingerprint="data"))
    prepared = Prepared(known, artifacts, {"train": corpus, "valid": corpus})
    model = task.build_model(artifacts)
    task.initialise(model, prepared)
    taken, parts = [weights_of(model)], []

    def watched(*arguments):
        for phase in Captioning.phases(task, *arguments):
            yield phase
            taken.append(weights_of(model))
            read = [tensor.name for tensor in phase.learner.inputs]
            parts.append((phase.name, read[0], phase.config.epochs, phase.config.learning_rate))

    monkeypatch.setattr(task, "phases", watched)
    folders = Folders(raw=tmp_path, cache=tmp_path, saved_models=tmp_path)
    console = Console(quiet=True)
    fit_phases(task, model, prepared, folders=folders, console=console, resume=False)
    assert parts == [("", "features", 1, 0.05), ("fine-tuning", "image", 1, 0.02)]
    moved = {
        layer: [not all(map(np.array_equal, one[layer], other[layer])) for one, other in pairs]
        for pairs in [list(itertools.pairwise(taken))]
        for layer in ("encoder", "decoder")
    }
    assert moved == {"encoder": [False, True], "decoder": [True, True]}


def weights_of(model):
    return {name: model.get_layer(name).get_weights() for name in ("encoder", "decoder")}
