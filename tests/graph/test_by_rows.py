"""A layer applied to rows says what it says of hypotheses, without shapes found at every step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.layers.dense_layers import by_rows


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("count", [None, 2])
def test_rows_give_what_the_layer_gives(rows, count):
    layer = keras.layers.Dense(4)
    layer.build((None, None, 5))
    inputs = np.random.default_rng(0).normal(size=(rows, 2, 5)).astype("float32")
    signature = [tf.TensorSpec([None, count, 5], tf.float32)]
    found = tf.function(lambda given: by_rows(layer, given), signature)(inputs)
    np.testing.assert_allclose(found, layer(inputs), atol=1e-6)


def test_no_shape_is_asked_for_where_the_number_of_hypotheses_is_known():
    layer = keras.layers.Dense(4)
    layer.build((None, None, 5))
    signature = [tf.TensorSpec([None, 2, 5], tf.float32)]
    graph = tf.function(lambda given: by_rows(layer, given), signature).get_concrete_function()
    assert "Shape" not in {operation.type for operation in graph.graph.get_operations()}
