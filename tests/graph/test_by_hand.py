"""The worked example of docs/by-hand.md, to the digit, and the page itself."""

import contextlib
import functools
import io
import itertools
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.layers.cells.making import make_recurrence
from pipelines.layers.recurrent import RecurrentStack

PAGE = (Path(__file__).parents[2] / "docs" / "by-hand.md").read_text(encoding="utf-8")
# As the example was given: these are not taken from the page.
W_XH = np.array(
    [
        [0.287027, 0.84606, 0.572392, 0.486813],
        [0.902874, 0.871522, 0.691079, 0.18998],
        [0.537524, 0.09224, 0.558159, 0.491528],
    ]
)
W_HY = np.array(
    [
        [0.37168, 0.974829459, 0.830034886],
        [0.39141, 0.282585823, 0.659835709],
        [0.64985, 0.09821557, 0.334287084],
        [0.91266, 0.32581642, 0.144630018],
    ]
)
W, BIAS = 0.427043, 0.567001
PRINTED = {
    "h": ["0.936534", "0.949104", "0.762341"],
    "y": ["1.90607732", "1.13779113", "0.95666016", "1.27422602"],
    "softmax": ["0.419748", "0.194682", "0.162429", "0.223141"],
}
# The first column of W_hy, with digits that its five decimals leave open.
COLUMN = ["0.37168259", "0.39140941", "0.64984597", "0.91265793"]
FENCED = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+(?:e-\d+)?")


def numbers(values):
    return np.array([float(value) for value in values])


def softmax(y):
    return np.exp(y - y.max()) / np.exp(y - y.max()).sum()


def one_hot(word):
    return np.eye(4)[[["helo".index(letter) for letter in word]]]


@pytest.fixture
def double():
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


def network():
    """The toolkit's simple cell and the layer that scores letters, with the example's weights."""
    stack = RecurrentStack(cell="simple", units=3, depth=1, direction="forward")
    stack.build((None, None, 4))
    stack.set_weights([W_XH.T, W * np.eye(3), np.full(3, BIAS)])
    scores = keras.layers.Dense(4, use_bias=False)
    scores.build((None, None, 3))
    scores.set_weights([W_HY.T])
    return stack, scores


def read(word):
    """h, y and softmax after the last letter."""
    stack, scores = network()
    states = stack(keras.ops.cast(one_hot(word), stack.compute_dtype))
    y = scores(states)
    p = keras.ops.softmax(y)
    return {
        name: keras.ops.convert_to_numpy(part)[0, -1]
        for name, part in (("h", states), ("y", y), ("softmax", p))
    }


@functools.cache
def run(blocks):
    """What blocks of code print, one after the other, and the names they leave."""
    names, printed = {}, []
    for block in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(block, names)
        printed.append(output.getvalue())
    return printed, names


def blocks_of(page):
    return tuple(body for kind, body in FENCED.findall(page) if kind == "python")


@functools.cache
def expected_table():
    h = np.tanh(W * np.tanh(BIAS + W_XH[:, 0]) + BIAS + W_XH[:, 1])
    exact = {"h": h, "y": W_HY @ h, "softmax": softmax(W_HY @ h)}
    return [
        f"| {name}_{i} | {given} | {value:.8f} | {float(given) - value:+.1e} |"
        for name, row in PRINTED.items()
        for i, (given, value) in enumerate(zip(row, exact[name], strict=True), start=1)
    ]


@functools.cache
def expected_sentences():
    """The sentences of the page that hold numbers, each computed anew."""
    a = BIAS + W_XH[:, 0]
    second = W * np.tanh(a[0]) + W_XH[0, 1] + BIAS
    [left] = np.linalg.svd(W_HY.T)[2][3:]  # the one direction that no h reaches
    missed = abs(left @ numbers(PRINTED["y"])) / np.abs(left).sum()
    return [
        f"{W} × 0 + {W_XH[0, 0]} + {BIAS} = {a[0]:.6f}, whose tanh is {np.tanh(a[0]):.6f}",
        f"{W} × {np.tanh(a[0]):.6f} + {W_XH[0, 1]} + {BIAS} = {second:.6f}, "
        f"whose tanh is {np.tanh(second):.6f}",
        f"missed by at least {missed:.1e}",
        f"({', '.join(COLUMN)})",
    ]


def faults(page):
    """What is wrong with the numbers on a page; empty if all are right."""
    printed, _ = run(blocks_of(page))
    fenced = [*FENCED.findall(page), ("python", "")]
    shown = [
        after[1] if after[0] == "text" else ""
        for before, after in itertools.pairwise(fenced)
        if before[0] == "python"
    ]
    found = [ours for ours, theirs in zip(printed, shown, strict=True) if ours != theirs]
    rest = FENCED.sub("", page)
    table = [line for line in rest.splitlines() if NUMBER.search(line) and line.startswith("|")]
    if table != expected_table():
        found.append("table")
    prose = " ".join(line for line in rest.splitlines() if not line.startswith("|"))
    prose, sentences = " ".join(prose.split()), expected_sentences()
    found += [sentence for sentence in sentences if sentence not in prose]
    if NUMBER.findall(prose) != NUMBER.findall(" ".join(sentences)):
        found.append("other numbers")
    return found


def test_the_page_holds_what_its_code_prints_and_no_other_number():
    assert faults(PAGE) == []
    _, names = run(blocks_of(PAGE))
    for ours, theirs in ((W_XH, "W_xh"), (W_HY, "W_hy"), (W, "w"), (BIAS, "b")):
        np.testing.assert_array_equal(names[theirs], ours)


def test_a_changed_number_on_the_page_is_found():
    code = [match.span() for match in FENCED.finditer(PAGE) if match[1] == "python"]
    places = [
        match.end() - 1 for match in re.finditer(NUMBER, PAGE)
        if not any(start <= match.start() < end for start, end in code)
    ]  # fmt: skip
    assert len(places) > 100
    for place in places:
        digit = (int(PAGE[place]) + 1) % 10
        changed = f"{PAGE[:place]}{digit}{PAGE[place + 1 :]}"
        assert faults(changed), PAGE[place - 60 : place + 1]


def test_the_toolkits_cell_reads_he_as_the_example_has_it():
    found = read("he")
    np.testing.assert_allclose(found["h"], numbers(PRINTED["h"]), rtol=0, atol=6e-7)
    np.testing.assert_allclose(found["y"], numbers(PRINTED["y"]), rtol=0, atol=5e-6)
    np.testing.assert_allclose(found["softmax"], numbers(PRINTED["softmax"]), rtol=0, atol=1.1e-6)
    assert "helo"[found["softmax"].argmax()] == "h"


@pytest.mark.usefixtures("double")
def test_in_double_precision_it_shows_where_the_example_does_not_fit_itself():
    found = read("he")
    assert [f"{value:.6f}" for value in found["h"]] == PRINTED["h"]
    gaps = np.abs(found["y"] - numbers(PRINTED["y"]))
    assert (gaps > 5e-7).all()  # its eight decimals promise 5e-9
    assert gaps.max() < 4e-6
    assert [f"{value:.6f}" for value in found["softmax"]] == ["0.419747", *PRINTED["softmax"][1:]]
    assert [f"{p:.6f}" for p in softmax(numbers(PRINTED["y"]))] == PRINTED["softmax"]
    nearest = np.linalg.lstsq(W_HY, numbers(PRINTED["y"]))[0]
    assert np.abs(W_HY @ nearest - numbers(PRINTED["y"])).max() > 5e-7
    finer = np.column_stack([numbers(COLUMN), W_HY[:, 1:]])
    np.testing.assert_array_equal(finer.round(5)[:, 0], W_HY[:, 0])
    assert [f"{value:.8f}" for value in finer @ found["h"]] == PRINTED["y"]


@pytest.mark.usefixtures("double")
def test_h_alone_predicts_h():
    found = read("h")
    a = [0.854028, 1.469875, 1.104525]
    np.testing.assert_allclose(found["h"], np.tanh(a), atol=1e-12)
    assert [f"{p:.6f}" for p in found["softmax"]] == [
        "0.432319",
        "0.205123",
        "0.160096",
        "0.202463",
    ]
    assert "helo"[found["softmax"].argmax()] == "h"


def spelling_loss(stack, scores):
    states = stack(one_hot("hell"))
    p = tf.nn.log_softmax(scores(states))
    return -tf.reduce_sum(p * one_hot("ello"))


@pytest.mark.usefixtures("double")
def test_back_through_time_agrees_with_the_page_and_with_differences():
    stack, scores = network()
    variables = [*stack.trainable_variables, *scores.trainable_variables]
    with tf.GradientTape() as tape:
        loss = spelling_loss(stack, scores)
    found = [gradient.numpy() for gradient in tape.gradient(loss, [v.value for v in variables])]
    _, page = run(blocks_of(PAGE))
    assert float(loss) == pytest.approx(page["loss"](W, W_XH, W_HY, BIAS), abs=1e-12)
    to_kernel, to_recurrent, to_bias, to_scores = found
    np.testing.assert_allclose(to_kernel.T, page["to_W_xh"], atol=1e-12)
    np.testing.assert_allclose(to_scores.T, page["to_W_hy"], atol=1e-12)
    np.testing.assert_allclose(to_bias, page["to_b"], atol=1e-12)
    # One weight that stands on the diagonal three times: the sum of what each place wants.
    assert np.trace(to_recurrent) == pytest.approx(page["to_w"], abs=1e-12)
    for variable, gradient in zip(variables, found, strict=True):
        np.testing.assert_allclose(differences(stack, scores, variable), gradient, atol=1e-8)


def differences(stack, scores, variable, gap=1e-5):
    """The gradient of the loss, each weight moved to both sides."""
    values, slopes = variable.numpy(), np.zeros(variable.shape)
    for place in np.ndindex(*values.shape):
        ends = []
        for side in (gap, -gap):
            moved = values.copy()
            moved[place] += side
            variable.assign(moved)
            ends.append(float(spelling_loss(stack, scores)))
        slopes[place] = (ends[0] - ends[1]) / (2 * gap)
    variable.assign(values)
    return slopes


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_layer_inside_the_stack_is_the_same_cell_in_training_too(weight):
    layer = make_recurrence({"cell": "simple", "norm_preserving": weight}, 1, units=3)
    layer.build((None, None, 4))
    layer.set_weights([W_XH.T, W * np.eye(3), np.full(3, BIAS)])
    states = layer(one_hot("he"), training=True)
    np.testing.assert_allclose(states[0, -1], read("he")["h"], atol=1e-14)
