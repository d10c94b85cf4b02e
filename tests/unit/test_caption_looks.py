"""Where a captioner looked: pieces joined to words, places named."""

import numpy as np
import pytest

from pipelines.captioning.evidence import gather_evidence, look_of
from pipelines.errors import EvaluationError
from pipelines.evaluation.caption_looks import Look, where


def spot(row, column, side=3):
    weights = np.zeros((side, side), np.float32)
    weights[row, column] = 1.0
    return weights


@pytest.mark.parametrize(
    ("row", "column", "name"),
    [
        (0, 0, "upper left"), (0, 1, "top"), (0, 2, "upper right"),
        (1, 0, "left"), (1, 1, "middle"), (1, 2, "right"),
        (2, 0, "lower left"), (2, 1, "bottom"), (2, 2, "lower right"),
    ],
)  # fmt: skip
def test_each_ninth_of_an_image_has_a_name(row, column, name):
    assert where(spot(row, column)) == name
    assert where(5 * spot(4 * row + 1, 4 * column + 1, side=12)) == name


def test_what_lies_between_is_where_its_weight_balances():
    assert where(spot(0, 0) + spot(2, 2)) == "middle"
    assert where(np.zeros((2, 2))) == "upper left"  # no weight at all is no error


def test_maps_are_the_weights_row_by_row():
    maps = Look(("a", "b"), np.arange(8, dtype=np.float32).reshape(2, 4)).maps()
    np.testing.assert_array_equal(maps, [[[0, 1], [2, 3]], [[4, 5], [6, 7]]])


def test_pieces_become_words_with_the_mean_of_their_weights():
    weights = np.array([spot(0, 0, 2), spot(0, 1, 2), spot(1, 1, 2)]).reshape(3, 4)
    found = Look(("\u2581sun", "flower", "\u2581red"), weights, fit="crop").by_words()
    assert found.tokens == ("sunflower", "red")
    np.testing.assert_allclose(found.weights, [[0.5, 0.5, 0, 0], [0, 0, 0, 1]])
    assert found.fit == "crop"


@pytest.mark.parametrize(
    ("tokens", "shape"), [((), (0, 4)), (("a",), (2, 4)), (("a",), (1, 5)), (("a",), (4,))]
)
def test_weights_that_fit_no_square_map_are_refused(tokens, shape):
    with pytest.raises(EvaluationError, match="a square number of places: cut padding") as refused:
        Look(tokens, np.zeros(shape, np.float32)).by_words()
    assert f"weights of shape {list(shape)} for {len(tokens)} tokens; exp" in str(refused.value)


def attention_of(*tokens):
    """Stand for an exported model whose attention names these tokens."""

    def predict(inputs, endpoint):
        asked.append((endpoint, inputs))
        if endpoint == "greedy":
            return {"caption": np.array(["greedily"] * len(inputs["image"]), object)}
        weights = np.arange(4 * len(tokens), dtype=np.float64).reshape(1, len(tokens), 4)
        return {"tokens": np.array([tokens], object), "weights": weights}

    asked = predict.asked = []
    return predict


def test_the_end_is_no_word_but_all_there_is_of_an_empty_caption():
    predict = attention_of("a", "dog", "<eos>")
    found = look_of(predict, b"pixels", "a dog", "crop")
    assert found.fit == "crop"
    assert found.tokens == ("a", "dog")
    np.testing.assert_array_equal(found.weights, [[0, 1, 2, 3], [4, 5, 6, 7]])
    assert predict.asked == [("attention", {"image": [b"pixels"], "caption": ["a dog"]})]
    assert look_of(attention_of("<eos>"), b"", "", "pad").tokens == ("<eos>",)
    cut = attention_of("a", "dog")  # of a caption that was cut: it has no end
    assert look_of(cut, b"", "", "pad").tokens == ("a", "dog")


class FewRows(list):
    def chunks(self, size):
        return (self[start : start + 2] for start in range(0, len(self), 2))


def test_evidence_asks_for_greedy_captions_at_once_and_for_looks_when_needed():
    predict = attention_of("a", "<eos>")
    rows = FewRows([b"one", b"two", b"three"])
    evidence = gather_evidence(
        predict, rows, lambda some: {"image": list(some)}, attention="dot", fit="crop"
    )
    assert list(evidence.greedy["caption"]) == ["greedily"] * 3
    assert [endpoint for endpoint, _ in predict.asked] == ["greedy"] * 2
    assert evidence.look(2, "a").tokens == ("a",)
    assert predict.asked[-1] == ("attention", {"image": [b"three"], "caption": ["a"]})


def test_without_attention_there_is_no_look():
    predict = attention_of("a")
    evidence = gather_evidence(
        predict, FewRows([b"one"]), lambda some: {"image": some}, attention="none", fit="pad"
    )
    assert evidence.look(0, "a") is None
    assert [endpoint for endpoint, _ in predict.asked] == ["greedy"]
