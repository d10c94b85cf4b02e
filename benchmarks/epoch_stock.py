"""The stock Keras way to train on text: `TextVectorization`, padding to the maximum, `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from epoch_cases import CLIP_NORM, System, Text, compared_rows, without_dropout


def stock(text: Text, rows: int) -> System:
    """Train in batches of so many rows, each padded to the longest row of the corpus."""
    import tensorflow as tf

    inputs, targets = vectorized(text)
    data = tf.data.Dataset.from_tensor_slices((inputs, targets)).cache()
    train = data.shuffle(len(targets)).batch(rows).prefetch(2)
    model = _compiled(text, text.task.config)

    def losses(steps: int) -> list[float]:
        plain = _compiled(text, without_dropout(text))
        batch = compared_rows(text)
        given = {name: ids[batch] for name, ids in inputs.items()}
        found = []
        for _ in range(steps):
            plain.reset_metrics()
            found.append(float(plain.train_on_batch(given, targets[batch])))
        return found

    widths = " and ".join(str(ids.shape[1]) for ids in inputs.values())
    name = f"stock Keras, {rows} × {widths}"
    return System(name, lambda: model.fit(train, verbose=0, shuffle=False), losses)


def vectorized(text: Text) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return inputs int64[N, T] by name, and targets; the words are those of our tokenizer."""
    import keras

    inputs = {}
    for name, vocabulary in text.vocabularies.items():
        names = np.array(vocabulary.tokens, object)
        words = [" ".join(names[row]) for row in text.column(name)]
        vectorize = keras.layers.TextVectorization(
            standardize=None, split="whitespace", vocabulary=list(vocabulary.tokens[2:])
        )
        inputs[name] = vectorize(np.array(words, object)).numpy()
    if not text.aligned:
        return inputs, np.stack(text.targets())
    padded = keras.utils.pad_sequences(text.targets(), padding="post", value=text.padding)
    return inputs, padded


def _compiled(text: Text, config: Any) -> Any:
    """Return a compiled model that starts from our weights."""
    import keras

    writes = "recurrence" in text.weights
    model = (_writer if writes else _labeller)(text, config)
    for name, values in text.weights.items():
        if name == "output":
            values = [*values, *text.weights.get("output_bias", [])]
        if name != "output_bias":
            model.get_layer(name).set_weights(values)
    optimizer = keras.optimizers.Adam(config.learning_rate, global_clipnorm=CLIP_NORM)
    model.compile(optimizer, loss=_loss(text))
    return model


def _loss(text: Text) -> Any:
    import keras

    if text.aligned:
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=text.padding
        )
    if text.targets()[0].ndim:
        return keras.losses.CategoricalCrossentropy(from_logits=True)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _read(text: Text, config: Any) -> tuple[Any, Any, Any]:
    """Return the tokens' input, their mask, and what the encoder gives: states, h and c twice."""
    import keras

    name = text.batches.inputs[0]
    tokens, layers = keras.Input((None,), dtype="int64", name=name), keras.layers
    embed = layers.Embedding(*text.weights["embedding"][0].shape, mask_zero=True, name="embedding")
    vectors = embed(tokens)
    if config.variational_dropout:
        vectors = layers.SpatialDropout1D(config.variational_dropout)(vectors)
    vectors = layers.Dropout(config.input_dropout)(vectors)
    lstm = layers.LSTM(
        config.units, return_sequences=True, return_state="recurrence" in text.weights
    )
    return tokens, tokens != 0, layers.Bidirectional(lstm, name="encoder")(vectors)


def _labeller(text: Text, config: Any) -> Any:
    """Return a classifier that pools as ours, or a tagger: tokens to logits."""
    import keras
    from keras import layers

    tokens, mask, states = _read(text, config)
    if not text.aligned:
        largest = keras.ops.max(keras.ops.where(mask[..., None], states, -1e4), axis=1)
        states = layers.Concatenate()([largest, layers.GlobalAveragePooling1D()(states, mask=mask)])
    states = layers.Dropout(config.output_dropout)(states)
    logits = layers.Dense(len(text.artifacts.labels), name="output")(states)
    return keras.Model({text.batches.inputs[0]: tokens}, logits)


def _writer(text: Text, config: Any) -> Any:
    """Return an encoder and a decoder with dot-product attention: both sides' tokens to logits."""
    import keras
    from keras import layers

    source, mask, (states, *final) = _read(text, config)
    memory = layers.Dropout(config.output_dropout)(states)
    summary = layers.Concatenate()([final[0], final[2]])
    state = [
        layers.Dense(config.decoder_units, "tanh", name=name)(summary)
        for name in ("state_h", "state_c")
    ]
    target = keras.Input((None,), dtype="int64", name=text.batches.inputs[1])
    size = text.weights["target_embedding"][0].shape
    vectors = layers.Embedding(*size, mask_zero=True, name="target_embedding")(target)
    vectors = layers.Dropout(config.input_dropout)(vectors)
    lstm = layers.LSTM(config.decoder_units, return_sequences=True, name="recurrence")
    hidden = lstm(vectors, initial_state=state)
    queries = layers.Dense(config.decoder_units, use_bias=False, name="query")(hidden)
    keys = layers.Dense(config.decoder_units, use_bias=False, name="key")(memory)
    queries = layers.Rescaling(config.decoder_units**-0.5)(queries)
    context = layers.Attention()([queries, memory, keys], mask=[None, mask])
    combine = layers.Dense(size[1], "tanh", use_bias=False, name="combine")
    features = combine(layers.Concatenate()([context, hidden]))
    features = layers.Dropout(config.output_dropout)(features)
    logits = layers.Dense(size[0], name="output")(features)
    return keras.Model(dict(zip(text.batches.inputs, (source, target), strict=True)), logits)
