import numpy as np
import tensorflow as tf

from pipelines.export.row_blocks import in_blocks

OUTPUTS = {
    "text": tf.TensorSpec([None], tf.string),
    "pairs": tf.TensorSpec([None, 2], tf.int32),
}


def described(rows):
    """Name each row by its sum, and say how wide its block was padded."""
    sums = tf.reduce_sum(rows, axis=1)
    width = tf.fill(tf.shape(sums), tf.shape(rows.to_tensor())[1])
    return {"text": tf.strings.as_string(sums), "pairs": tf.stack([sums, width], axis=1)}


@tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)], autograph=False)
def run(rows):
    return in_blocks(described, rows, size=2, outputs=OUTPUTS)


def test_rows_come_back_in_their_order_each_padded_to_its_block():
    outputs = run(tf.ragged.constant([[1] * 9, [2], [3] * 4, [4, 4], [5] * 8], tf.int32))
    assert [text.decode() for text in outputs["text"].numpy()] == ["9", "2", "12", "8", "40"]
    np.testing.assert_array_equal(outputs["pairs"][:, 1], [9, 2, 8, 2, 8])


def test_a_request_without_rows_has_an_answer_without_rows():
    outputs = run(tf.RaggedTensor.from_row_splits(tf.zeros([0], tf.int32), [0]))
    assert outputs["text"].shape == (0,)
    assert outputs["pairs"].shape == (0, 2)


def test_rows_of_one_length_are_cut_into_blocks_as_they_come():
    seen = tf.TensorSpec([None], tf.int32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def sizes(rows):
        return in_blocks(
            lambda block: {"size": tf.fill(tf.shape(block), tf.size(block))},
            rows, size=2, outputs={"size": seen},
        )  # fmt: skip

    np.testing.assert_array_equal(sizes(tf.constant(["a", "b", "c"]))["size"], [2, 2, 1])
    assert sizes(tf.constant([], tf.string))["size"].shape == (0,)
