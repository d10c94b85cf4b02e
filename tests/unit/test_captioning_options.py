"""What a captioner's settings and `predict` refuse, and what is kept beside its weights."""

from dataclasses import replace

import pytest

from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner_config import CaptionerConfig
from pipelines.captioning.predict_options import CaptionPredictOptions
from pipelines.errors import ConfigError
from pipelines.registry import find_task
from pipelines.text.decoder_config import DecoderConfig
from pipelines.text.vocabulary import RESERVED, Vocabulary


def refused(given, config=CaptionerConfig):
    with pytest.raises(ConfigError) as error:
        config(**given)
    return " ".join(str(error.value).split())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"image_size": 15}, "--image-size is 15; it must be at least 16 pixels"),
        (
            {"widths": (8, 8), "blocks": (1,)},
            "--blocks is (1,); it must be as many numbers as --wi",
        ),
        ({"widths": (), "blocks": ()}, "--blocks is (); it must be as many numbers as --widths, 0"),
        ({"widths": (0,), "blocks": (1,)}, "--widths is (0,); it must be at least 1 each"),
        ({"widths": (8, 8), "blocks": (1, 0)}, "(1, 0); it must be at least 1 each; 0 of the fir"),
        ({"widths": (8,), "blocks": (-1,)}, "(-1,); it must be at least 1 each; 0 of the first"),
        ({"memory_dropout": 1.0}, "--memory-dropout is 1.0; it must be in [0, 1)"),
        ({"shift": -0.1}, "--shift is -0.1; it must be in [0, 1)"),
        ({"zoom": 1.5}, "--zoom is 1.5; it must be in [0, 1)"),
        ({"brightness": 1.0}, "--brightness is 1.0; it must be in [0, 1)"),
        ({"contrast": -1.0}, "--contrast is -1.0; it must be in [0, 1)"),
        ({"erase": 1.0}, "--erase is 1.0; it must be in [0, 1)"),
        ({"rotation": 181.0}, "--rotation is 181.0; it must be 0 to 180 degrees"),
        ({"neighbours": 0}, "--neighbours is 0; it must be at least 1"),
        ({"bank": 0}, "--bank is 0; it must be at least 1"),
        ({"monitored": 0}, "--monitored is 0; it must be at least 1"),
        ({"doubly_stochastic": -1.0}, "--doubly-stochastic is -1.0; it must be 0 (off) or more"),
        ({"word_loss": -1.0}, "--word-loss is -1.0; it must be 0 (off) or more"),
        ({"frozen": True}, "must be given with --encoder-weights: there is nothing to keep"),
        ({"fine_tune_epochs": -1}, "--fine-tune-epochs is -1; it must be 0 (none) or more"),
        ({"fine_tune_epochs": 2}, "--fine-tune-epochs is 2; it must be 0 without --frozen"),
        ({"fine_tune_rate": 0.0}, "--fine-tune-rate is 0.0; it must be above 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(given, message):
    assert message in refused(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"embedding_size": 0}, "--embedding-size is 0; it must be at least 1"),
        ({"beam": 0}, "--beam is 0; it must be at least 1"),
        ({"word_dropout": 1.0}, "--word-dropout is 1.0; it must be in [0, 1)"),
        ({"label_smoothing": -0.1}, "--label-smoothing is -0.1; it must be in [0, 1)"),
        ({"scheduled_sampling": 1.1}, "--scheduled-sampling is 1.1; it must be in [0, 1]"),
        ({"max_tokens": 2}, "--max-tokens is 2; it must be at least 3"),
        ({"vocabulary_size": 4}, "--vocabulary-size is 4; it must be above 4"),
        ({"no_repeat_ngram": -1}, "--no-repeat-ngram is -1; it must be 0 or more"),
        ({"attention": "none", "input_feeding": True}, "it must be off without attention"),
        ({"attention": "none", "order": "bahdanau"}, "it must be luong without attention"),
        ({"order": "bahdanau", "input_feeding": True}, "it must be luong with --input-feeding"),
    ],
)
def test_settings_of_a_decoder_are_refused_alike_for_all_that_write(given, message):
    assert message in refused(given) == refused(given, DecoderConfig)


def test_what_may_go_together():
    kept = {"encoder_weights": "saved_models/captioning/1"}
    CaptionerConfig(**kept)
    CaptionerConfig(**kept, frozen=True, fine_tune_epochs=3)
    CaptionerConfig(widths=(4,), blocks=(0,))
    CaptionerConfig(attention="none", word_loss=0.0, rotation=180.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"predict needs --file \(in Make: FILE=photo.jpg\), an image or a folder of images"),
        ({"file": "gone.png"}, r"option --file: .*gone.png: no such file or folder"),
        ({"file": "a.png", "n_best": 0}, r"--n-best is 0; it must be at least 1"),
        ({"file": ".", "attention": "x.png"}, r"draws one image; --file is a folder: give one im"),
    ],
)
def test_predict_refuses_what_it_cannot_do(tmp_path, given, message):
    (tmp_path / "a.png").write_bytes(b"never read")
    paths = {name: tmp_path / given[name] for name in ("file", "attention") if name in given}
    with pytest.raises(ConfigError, match=message):
        CaptionPredictOptions(**given | paths)


SETTINGS = {"level": "word", "size": 64, "fit": "pad", "encoder": "", "tuned": False}


def artifacts(**changes):
    vocabulary = Vocabulary((*RESERVED, "a", "dög", "sees"))
    captions = frozenset({"a dög", "", "a \u2028 b", "naïve\x0bword"})
    return replace(CaptionArtifacts(vocabulary, SETTINGS, captions, count=9, longest=7), **changes)


def test_what_was_learnt_survives_the_disk(tmp_path):
    """Line ends other than the usual one are part of a caption."""
    artifacts().save(tmp_path)
    found = CaptionArtifacts.load(tmp_path)
    assert found == artifacts()
    assert found.fingerprint() == artifacts().fingerprint()
    assert found.describe()["vocabulary"] == 7
    assert found.describe()["pixels"] == 64


def test_no_captions_are_none_again(tmp_path):
    artifacts(captions=frozenset()).save(tmp_path)
    assert CaptionArtifacts.load(tmp_path).captions == frozenset()


@pytest.mark.parametrize(
    "changes",
    [
        {"vocabulary": Vocabulary((*RESERVED, "a", "dog", "sees"))},
        {"settings": SETTINGS | {"size": 96}},
        {"settings": SETTINGS | {"fit": "crop"}},
        {"settings": SETTINGS | {"encoder": "other weights"}},
        {"settings": SETTINGS | {"tuned": True}},
    ],
)
def test_rows_are_encoded_anew_where_that_would_change_them(changes):
    assert artifacts(**changes).fingerprint() != artifacts().fingerprint()


def test_a_network_is_known_without_keras():
    assert "'Resnet5O'; did you mean 'ResNet50'?; it must be compact or one of " in refused(
        {"encoder": "Resnet5O"}
    )
    assert CaptionerConfig(encoder="mobilenetv2").encoder == "mobilenetv2"


def test_weights_that_are_nowhere_are_missed_before_anything_is_read(tmp_path):
    task = find_task("captioning")
    missing = str(tmp_path / "gone.h5")
    for settings in ({"encoder": "MobileNetV2"}, {}):
        with pytest.raises(
            ConfigError, match="--encoder-weights is '.*gone.h5'; it must be a file"
        ):
            task(task.config_type(encoder_weights=missing, **settings)).begin()


def test_widths_that_tensorflow_cannot_bear_are_warned_of(caplog):
    task = find_task("captioning")
    task(task.config_type(widths=(8, 32), blocks=(1, 1))).begin()
    assert "--widths (8, 32): TensorFlow 2.21 can crash" in caplog.text
    caplog.clear()
    task(task.config_type()).begin()
    assert not caplog.text
