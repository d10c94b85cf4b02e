"""Which options go with which encoder, and the message where they do not."""

import pytest

from pipelines.config import config_from_json
from pipelines.encoder_config import RECURRENT_ONLY
from pipelines.errors import ConfigError
from pipelines.recurrent_config import RecurrentConfig
from pipelines.series.forecaster_config import ForecasterConfig
from pipelines.text.classifier_config import ClassifierConfig
from pipelines.text.tagger_config import TaggerConfig
from pipelines.text.token_inputs import require_small, sentence_endings
from pipelines.text.vocabulary import RESERVED, Vocabulary

CONFIGS = (ClassifierConfig, TaggerConfig, ForecasterConfig)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("encoder", ["rnn", "cnn", "dense"])
def test_every_encoder_takes_every_default(config, encoder):
    assert config(encoder=encoder).encoder == encoder


CHANGES = {
    "cell": "simple", "forget_bias": 0.5, "peephole": True, "recurrent_init": "identity",
    "deep_input": 1, "deep_transition": 1, "deep_output": 1, "skips": True,
    "recurrent_dropout": 0.1, "weight_dropout": 0.1, "fast": False,
}  # fmt: skip


def test_options_of_recurrent_layers_alone_are_refused_without_them():
    fields = set(RecurrentConfig.__dataclass_fields__)
    assert set(RECURRENT_ONLY) <= fields
    for name, value in CHANGES.items():
        option = "--" + name.replace("_", "-")
        message = rf"{option} is {value!r}; it must be left at .* with --encoder cnn: only recurr"
        with pytest.raises(ConfigError, match=message):
            ClassifierConfig(encoder="cnn", **{name: value})


def test_only_recurrent_layers_read_backwards():
    assert TaggerConfig(encoder="cnn", direction="forward").direction == "forward"
    for direction in ("backward", "alternating"):
        expected = f"--direction is '{direction}'; it must be forward or both with --encoder dense"
        with pytest.raises(ConfigError, match=expected):
            TaggerConfig(encoder="dense", direction=direction)


@pytest.mark.parametrize("widths", [(), (0, 2), (3, 3)])
def test_widths_that_cannot_be(widths):
    with pytest.raises(ConfigError, match=r"--filter-widths is .*one or more different widths"):
        ClassifierConfig(encoder="cnn", filter_widths=widths)


def test_options_of_convolutions_need_convolutions():
    message = r"--filter-widths is \(3,\); it must be left at \(2, 3, 4, 5\) without --encoder cnn"
    with pytest.raises(ConfigError, match=message):
        ClassifierConfig(filter_widths=(3,))
    with pytest.raises(ConfigError, match=r"--filter-dilation is 0; it must be at least 1"):
        ClassifierConfig(encoder="cnn", filter_dilation=0)


@pytest.mark.parametrize("architecture", ["encoder-decoder", "autoregressive"])
def test_decoders_that_go_on_from_a_state_need_a_recurrent_encoder(architecture):
    message = rf"--encoder is 'cnn'; it must be rnn where --architecture is {architecture}: its dec"
    with pytest.raises(ConfigError, match=message + r".*--architecture direct takes any"):
        ForecasterConfig(encoder="cnn", architecture=architecture, head="gaussian")


def test_one_hot_inputs_have_no_embedding():
    message = r"--embedding-size is 7; it must be left at 100 with --inputs one-hot: there is no"
    with pytest.raises(ConfigError, match=message):
        ClassifierConfig(inputs="one-hot", embedding_size=7)
    with pytest.raises(ConfigError, match=r"--freeze-vectors is True; .* with --inputs one-hot"):
        TaggerConfig(inputs="one-hot", freeze_vectors=True)


def test_a_large_vocabulary_tells_what_one_hot_would_cost():
    large = Vocabulary((*RESERVED, *(f"w{number}" for number in range(2_500))))
    message = (
        r"one-hot', but the vocabulary has 2,504 entries; it must have at most 2,000: one batch of "
        r"4,096 tokens would take 41 MB\. Use --level char, --vocabulary-size 2000, or --inputs emb"
    )
    with pytest.raises(ConfigError, match=message):
        require_small(large, ClassifierConfig(inputs="one-hot"))
    with pytest.raises(ConfigError, match=r"MB\. Use --vocabulary-size 2000, or --inputs embed"):
        require_small(large, TaggerConfig(inputs="one-hot"))
    require_small(Vocabulary(large.tokens[:2_000]), TaggerConfig(inputs="one-hot"))


@pytest.mark.parametrize("name", ["max_sentences", "max_sentence_tokens"])
def test_documents_have_sentences_of_tokens(name):
    option = "--" + name.replace("_", "-")
    with pytest.raises(ConfigError, match=f"{option} is 0; it must be at least 1"):
        ClassifierConfig(hierarchical=True, **{name: 0})


def test_settings_come_back_from_a_manifest():
    config = TaggerConfig(encoder="cnn", filter_widths=(1, 3))
    content = {"encoder": "cnn", "filter_widths": [1, 3]}
    assert config_from_json(TaggerConfig, content) == config


def test_sentences_end_at_final_marks_of_any_level_and_script(caplog):
    tokens = ("a.", ".", "...", "?!", "\u2581!", "\u3002", "3.5", ",", "\u2581", "a")
    assert sentence_endings(Vocabulary((*RESERVED, *tokens))) == (5, 6, 7, 8, 9)
    assert [chr(number - 4) for number in sentence_endings(Vocabulary.of_bytes())] == list("!.?")
    assert not caplog.text
    assert sentence_endings(Vocabulary((*RESERVED, "a"))) == ()
    assert "no token of the vocabulary ends a sentence" in caplog.text
