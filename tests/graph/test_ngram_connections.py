import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.ngram_connections import NgramConnections
from pipelines.row_updates import RowUpdates

RNG = np.random.default_rng(0)


class RowAdam(RowUpdates, keras.optimizers.Adam):
    pass


def filled(*arguments):
    layer = NgramConnections(*arguments)
    layer.build()
    for table in layer.tables:
        table.assign(RNG.normal(size=table.shape))
    return layer


def drawn(size, *shape):
    return RNG.integers(0, size, shape).astype("int32")


def numpy(value):
    return ops.convert_to_numpy(value)


def test_every_ngram_that_fits_has_a_row_of_its_own():
    layer = NgramConnections((1, 2, 3), 125, 5)
    grid = np.array(np.meshgrid(*[range(5)] * 3)).reshape(3, -1).T.astype("int32")
    one, two, three = map(numpy, layer.hashes(grid[:, 2:], grid[:, :2]))
    assert [layer.rows(order) for order in (1, 2, 3)] == [5, 25, 125]
    assert sorted(three.ravel()) == list(range(125))
    np.testing.assert_array_equal(two[:, 0], grid[:, 1] * 5 + grid[:, 2])
    np.testing.assert_array_equal(one[:, 0], grid[:, 2])


@pytest.mark.parametrize("buckets", [2**10, 2**18, 2**20])
def test_hashes_spread_like_chance(buckets):
    layer = NgramConnections((5,), buckets, 96)
    grams = np.unique(drawn(96, 20_000, 5), axis=0)
    rows = numpy(layer.hashes(grams[:, 4:], grams[:, :4])[0])
    assert rows.min() >= 0
    assert rows.max() < layer.rows(5) <= buckets
    expected = layer.rows(5) * (1 - (1 - 1 / layer.rows(5)) ** len(grams))
    assert len(np.unique(rows)) == pytest.approx(expected, rel=0.02)


def test_windows_and_steps_equal_the_whole():
    layer, tokens = filled((1, 2, 4), 97, 7), drawn(7, 3, 9)
    before = layer.start(3)
    assert tuple(before.shape) == (3, 3)
    whole = numpy(layer(tokens, before))
    first, second = tokens[:, :2], tokens[:, 2:]
    middle = layer.remember(first, before)
    parts = [numpy(layer(first, before)), numpy(layer(second, middle))]
    np.testing.assert_array_equal(np.concatenate(parts, 1), whole)
    for t in range(9):
        scores, before = layer.step(tokens[:, t], before)
        np.testing.assert_array_equal(scores, whole[:, t])
    np.testing.assert_array_equal(before, tokens[:, -3:])


@pytest.mark.parametrize(("order", "learns"), [(2, False), (3, True)])
@pytest.mark.parametrize("optimizer", [RowAdam, keras.optimizers.Adam])
def test_training_learns_what_an_ngram_tells(order, learns, optimizer):
    """The next token is told by the last and the third last: two tokens are not enough."""
    text = drawn(6, 32, 22)
    targets = (text[:, 2:] + text[:, :-2]) % 6
    tokens, before = keras.Input((None,), dtype="int32"), keras.Input((2,), dtype="int32")
    layer = NgramConnections((order, 3) if learns else (1, order), 300, 6)
    given = [text[:, 2:], text[:, 2 - layer.memory : 2]]
    before = keras.Input((layer.memory,), dtype="int32")
    model = keras.Model([tokens, before], layer(tokens, before))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rate = 0.01 if optimizer is RowAdam else 0.2
    model.compile(optimizer(rate, global_clipnorm=1.0), loss, jit_compile=False)
    losses = [float(model.train_on_batch(given, targets)) for _ in range(40)]
    right = (numpy(model(given)).argmax(-1) == targets).mean()
    assert (right > 0.99) == learns, losses


def test_a_step_touches_the_rows_it_read_alone():
    layer = NgramConnections((3,), 2**18, 50)
    tokens, before = drawn(50, 2, 4), drawn(50, 2, 2)
    layer.build()
    optimizer = RowAdam(0.01)
    optimizer.build(layer.trainable_variables)
    assert len(optimizer.variables) == 3  # iterations, learning rate, one table of squares

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(
                layer(tokens, before)[..., 3] ** 2 - layer(tokens, before)[..., 3]
            )
        gradients = tape.gradient(loss, [layer.tables[0].value])
        assert isinstance(gradients[0], tf.IndexedSlices)
        optimizer.apply(gradients, layer.trainable_variables)

    step()
    changed = np.flatnonzero((layer.tables[0].numpy() != 0).any(-1))
    read = np.unique(numpy(layer.hashes(tokens, before)[0]))
    np.testing.assert_array_equal(changed, read)
    assert int(optimizer.iterations) == 1


JAX = """
import numpy as np
from pipelines.layers.ngram_connections import NgramConnections
layer = NgramConnections((1, 3, 6), 2**20, 5000)
random = np.random.default_rng(3)
tokens, before = (random.integers(0, 5000, shape).astype("int32") for shape in ((4, 9), (4, 5)))
print(np.stack([np.asarray(found) for found in layer.hashes(tokens, before)]).tolist())
"""


def test_jax_finds_the_same_rows(jax_process):
    found = jax_process.run(JAX)
    layer, random = NgramConnections((1, 3, 6), 2**20, 5000), np.random.default_rng(3)
    given = [random.integers(0, 5000, shape).astype("int32") for shape in ((4, 9), (4, 5))]
    assert json.loads(found) == np.stack(list(map(numpy, layer.hashes(*given)))).tolist()


def test_updates_repeat_bit_by_bit_and_are_those_of_adagrad():
    indices = RNG.zipf(1.3, 4000).astype("int32") % 50
    values = RNG.normal(size=(4000, 96)).astype("float32")
    results = []
    for _ in range(8):
        layer = NgramConnections((1,), 96, 96)
        layer.build()
        optimizer = RowAdam(0.002)
        optimizer.build(layer.trainable_variables)
        slices = tf.IndexedSlices(values / 4000, indices, layer.tables[0].shape)
        optimizer.apply([slices], layer.trainable_variables)
        results.append(layer.tables[0].numpy())
    assert len({result.tobytes() for result in results}) == 1
    sums, squares = np.zeros((96, 96)), np.ones((96, 96))
    np.add.at(sums, indices, values)
    np.add.at(squares, indices, values**2)
    np.testing.assert_allclose(results[0], -0.3 * sums / np.sqrt(squares), atol=1e-4)


@pytest.mark.parametrize(
    ("orders", "buckets", "message"),
    [
        ((), 10, r"--orders is \(\); it must be 1 or more each"),
        ((0, 2), 10, r"--orders is \(0, 2\); it must be 1 or more each"),
        ((2,), 2**21, "--buckets is 2097152; it must be 2 to 1,048,576"),
    ],
)
def test_settings_that_cannot_work_are_refused(orders, buckets, message):
    with pytest.raises(ConfigError, match=message):
        NgramConnections(orders, buckets, 50)


def test_a_saved_layer_is_rebuilt(tmp_path):
    tokens, before = keras.Input((None,), dtype="int32"), keras.Input((2,), dtype="int32")
    layer = filled((1, 3), 90, 6)
    model = keras.Model([tokens, before], layer(tokens, before))
    model.save(tmp_path / "model.keras")
    given = [drawn(6, 2, 5), drawn(6, 2, 2)]
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(given), model(given))
