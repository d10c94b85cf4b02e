import keras
import numpy as np
import pytest
import scipy.sparse as sp

from pipelines.errors import ConfigError
from pipelines.text.vocabulary import BOS, EOS, PAD, UNK
from pipelines.translation.lexical_start import set_lexical_start
from pipelines.translation.word_alignment import Lexicon

SOURCES, TARGETS, WIDTH = 40, 50, 256


def lexicon() -> Lexicon:
    """Source token x means target token x + 5; 10 also means 30, seldom; 35 to 39 are unseen."""
    table = np.zeros((SOURCES, TARGETS), np.float32)
    table[EOS, EOS] = 1
    words = np.arange(4, 35)
    table[words, words + 5] = 1
    table[10, [15, 30]] = 0.7, 0.2
    return Lexicon(sp.csr_matrix(table), (), 1)


def started(*, widths=(WIDTH, WIDTH), known=None, counts=None, bias=TARGETS, tied=True, **options):
    encoder = keras.layers.Embedding(SOURCES, widths[0])
    decoder = keras.layers.ReversibleEmbedding(TARGETS, widths[1], tie_weights=tied)
    encoder.build((None, None))
    decoder.build((None, None))
    output_bias = keras.Variable(np.zeros(bias, np.float32))
    counts = np.arange(TARGETS) if counts is None else counts
    options = {"seed": 3} | options
    set_lexical_start(encoder, decoder, output_bias, known or lexicon(), counts, **options)
    return encoder, decoder, keras.ops.convert_to_numpy(output_bias)


def vectors(layer) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer.embeddings)


def test_a_source_token_is_nearest_to_its_translation():
    encoder, decoder, _ = started()
    products = vectors(encoder) @ vectors(decoder).T
    words = np.arange(4, 35)
    np.testing.assert_array_equal(products[words].argmax(1), words + 5)
    assert products[EOS].argmax() == EOS
    likely, seldom = products[10, 15], products[10, 30]
    others = np.delete(products[10], [15, 30])
    assert likely > 2 * seldom > 2 * np.abs(others).mean()


def test_the_layers_themselves_score_the_translation_highest():
    encoder, decoder, _ = started()
    scores = decoder(encoder(np.array([[4, 20, EOS]])), reverse=True)
    assert keras.ops.convert_to_numpy(scores).argmax(-1).tolist() == [[9, 25, EOS]]


@pytest.mark.parametrize("scale", [0.1, 0.5])
def test_vectors_have_one_length(scale):
    encoder, decoder, _ = started(scale=scale)
    usual = scale * np.sqrt(WIDTH)
    np.testing.assert_allclose(np.linalg.norm(vectors(encoder)[3:35], axis=1), usual, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors(decoder)[1:], axis=1), usual, rtol=0.2)
    assert vectors(decoder)[1:].std() == pytest.approx(scale, rel=0.05)


def test_unknown_tokens_get_vectors_of_their_own():
    encoder, decoder, _ = started()
    unknown = vectors(encoder)[[UNK, BOS, *range(35, SOURCES)]]
    assert unknown.std() == pytest.approx(0.1, rel=0.1)
    products = unknown @ vectors(decoder).T
    assert np.abs(products).max() < 0.5 * 0.1**2 * WIDTH
    assert len(np.unique(unknown[:, 0])) == len(unknown)


def test_padding_is_zero_on_both_sides():
    encoder, decoder, _ = started()
    assert not vectors(encoder)[PAD].any() and not vectors(decoder)[PAD].any()


def test_the_bias_is_the_share_of_target_tokens():
    counts = np.zeros(TARGETS, int)
    counts[[PAD, BOS]] = 1000  # rows of padding or starts, if someone counted them
    counts[[EOS, 9]] = 9, 29
    _, _, bias = started(counts=counts)
    assert np.exp(bias).sum() == pytest.approx(1, rel=1e-5)
    total = 9 + 29 + TARGETS
    np.testing.assert_allclose(np.exp(bias[[EOS, 9, 12]]), np.array([10, 30, 1]) / total, rtol=1e-5)
    assert bias[PAD] == bias[BOS] == bias.min()


def test_an_output_matrix_of_its_own_starts_from_the_same_vectors():
    _, decoder, _ = started(tied=False)
    reverse = keras.ops.convert_to_numpy(decoder.reverse_embeddings)
    np.testing.assert_array_equal(reverse, vectors(decoder).T)


def test_the_seed_decides():
    first, again, other = (started(seed=seed) for seed in (1, 1, 2))
    for place in (0, 1):
        np.testing.assert_array_equal(vectors(first[place]), vectors(again[place]))
        assert np.any(vectors(first[place]) != vectors(other[place]))


def test_an_empty_lexicon_leaves_all_at_random():
    empty = Lexicon(sp.csr_matrix((SOURCES, TARGETS), dtype=np.float32), (), 0)
    encoder, _, _ = started(known=empty)
    assert vectors(encoder)[1:].std() == pytest.approx(0.1, rel=0.05)


def test_sides_of_different_widths_are_refused():
    with pytest.raises(ConfigError, match=r"encoder's vectors have 8 values and the decoder's 16.*"
                       "give both one embedding size"):  # fmt: skip
        started(widths=(8, 16))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"bias": 7}, r"output bias has shape \(7,\); expected \(50,\)"),
        ({"counts": np.ones(3)}, r"target counts has shape \(3,\); expected \(50,\)"),
        (
            {"known": Lexicon(sp.csr_matrix((5, 6)), (), 0)},
            r"lexicon has shape \(5, 6\); expected \(40, 50\).*from the vocabularies of the model",
        ),
    ],
)
def test_what_does_not_fit_the_embeddings_is_refused(what, message):
    with pytest.raises(ConfigError, match=message):
        started(**what)


def test_one_embedding_for_both_sides_is_refused():
    shared = keras.layers.ReversibleEmbedding(TARGETS, WIDTH)
    shared.build((None, None))
    with pytest.raises(ConfigError, match="share one embedding; expected one for each side"):
        set_lexical_start(shared, shared, None, lexicon(), np.ones(TARGETS), seed=1)
