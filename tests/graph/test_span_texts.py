import tensorflow as tf

from pipelines.text.tag_serving import _slices


def test_spans_are_cut_out_of_their_own_text_by_bytes():
    text = tf.constant(["Ünï Bo x", "", "Bo"])
    places = {
        "byte_starts": tf.constant([[0, 6, 9], [0, 0, 0], [0, 0, 0]]),
        "byte_limits": tf.constant([[5, 8, 10], [0, 0, 0], [2, 0, 0]]),
    }
    answer = {
        "span_types": tf.constant([["a", "b"], ["", ""], ["c", ""]]),
        "span_starts": tf.constant([[0, 2], [0, 0], [0, 0]]),
        "span_limits": tf.constant([[2, 3], [0, 0], [1, 0]]),
    }
    found = _slices(text, places, answer).numpy().tolist()
    assert [[it.decode() for it in row] for row in found] == [["Ünï Bo", "x"], ["", ""], ["Bo", ""]]


def test_no_span_anywhere_gives_no_column():
    empty = {name: tf.zeros([2, 0], tf.int32) for name in ("span_starts", "span_limits")}
    answer = {"span_types": tf.zeros([2, 0], tf.string), **empty}
    places = {name: tf.zeros([2, 1], tf.int32) for name in ("byte_starts", "byte_limits")}
    assert _slices(tf.constant(["a", "b"]), places, answer).shape == (2, 0)
