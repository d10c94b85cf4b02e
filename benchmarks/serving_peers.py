"""Endpoints as one would write them in Python around a network in PyTorch or ONNX Runtime.

Each takes the raw request of the exported model and answers what that answers. Around the network
they use dictionaries, regular expressions and NumPy, which is quicker on one request than eager
PyTorch. Where that saves them work it is in their favour: words are looked up whole with all their
features, and n-grams in a dictionary of the requests' own.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from serving_models import Case
from serving_networks import Answer, Request, Run, network_of

WORD = re.compile(r"[^\W_]+(?:['’_][^\W_]+)*|[^\w\s]")


def padded(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return ids int64[B, T], padded with 0, and lengths int64[B]."""
    lengths = np.array([len(row) for row in rows])
    ids = np.zeros((len(rows), int(lengths.max())), np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    return ids, lengths


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return probabilities along the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


class Sentiment:
    """Text -> probabilities: the network, the linear part over n-grams, and their blend."""

    output = "probabilities"

    def __init__(self, case: Case) -> None:
        from pipelines.text.encoding import TextFeatures

        layer = case.model.get_layer
        vocabulary = case.artifacts.vocabulary.tokens
        self._ids = {token: number for number, token in enumerate(vocabulary) if number > 3}
        self._most = case.artifacts.settings["max_tokens"]
        stack = next(one for one in case.model.layers if hasattr(one, "run"))
        self.network = network_of(stack, table=layer("embedding").embeddings)
        self._dense = [np.asarray(weight) for weight in layer("network").get_weights()]
        self._linear = {
            name: [np.asarray(weight) for weight in layer(f"linear_{name}").get_weights()]
            for name in ("words", "chars")
        }
        self._blend = [np.asarray(weight) for weight in layer("blend").get_weights()]
        self._grams: dict[str, int] = {}
        self._learn(case, TextFeatures.of(case.artifacts))

    def _learn(self, case: Case, features: Any) -> None:
        """Number the n-grams of the examples; keep those examples that are cut into equal words."""
        import tensorflow as tf

        from pipelines.text.classifier_config import BUCKETS

        kept = [
            example
            for example in case.examples
            if self._tokens(_words(example.text))
            == features.tokenizer([example.text])[0].numpy().tolist()
        ]
        case.examples = kept
        grams = {gram for example in kept for part in _grams(_words(example.text)) for gram in part}
        numbers = tf.strings.to_hash_bucket_fast(sorted(grams), BUCKETS).numpy() + 1
        self._grams = dict(zip(sorted(grams), numbers.tolist(), strict=True))

    def _tokens(self, words: list[str]) -> list[int]:
        return [self._ids.get(word, 1) for word in words][: self._most]

    def answer(self, request: Request, run: Run) -> Answer:
        """Answer a request, the network being run by `run`."""
        texts = [_words(text) for text in request["text"]]
        ids, lengths = padded([self._tokens(words) for words in texts])
        states = run(ids, lengths)
        real = (np.arange(ids.shape[1]) < lengths[:, None])[..., None]
        pooled = [np.where(real, states, -1e4).max(axis=1), states.sum(axis=1) / lengths[:, None]]
        network = np.concatenate(pooled, axis=1) @ self._dense[0] + self._dense[1]
        linear = np.stack([self._scores(words) for words in texts])
        mix, bias = self._blend
        return {self.output: softmax(network * mix[0] + linear * mix[1] + bias)}

    def _scores(self, words: list[str]) -> np.ndarray:
        total = 0.0
        for grams, (idf, kernel, bias) in zip(_grams(words), self._linear.values(), strict=True):
            numbers = np.array(list({self._grams[gram] for gram in grams}))
            values = idf[numbers]
            total = total + values @ kernel[numbers] / np.sqrt(values @ values) + bias
        return np.asarray(total)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _grams(words: list[str]) -> tuple[list[str], list[str]]:
    """Return word 1-2-grams, and character 2-5-grams of words between blanks."""
    pairs = [f"{one} {other}" for one, other in itertools.pairwise(words)]
    spaced = [f" {word} " for word in words]
    return [*words, *pairs], [
        word[start : start + size]
        for word in spaced
        for size in (2, 3, 4, 5)
        for start in range(len(word) - size + 1)
    ]


class Pos:
    """Tokens -> tags: features of tokens, the network, Viterbi's algorithm."""

    output = "tags"

    def __init__(self, case: Case) -> None:
        from pipelines.text.tag_serving import output_names
        from pipelines.text.token_features import TokenFeatures, ragged_tokens

        layer = case.model.get_layer
        tokens = sorted({token for example in case.examples for token in example.tokens})
        ragged = TokenFeatures(case.artifacts).ragged(ragged_tokens([tokens]))
        self._features = {
            name: np.concatenate([np.zeros_like(rows[:1]), rows])
            for name, values in ragged.items()
            for rows in [values.flat_values.numpy()]
        }
        self._places = {token: place for place, token in enumerate(tokens, 1)}
        self._tables = {
            "words": np.asarray(layer("embedding").embeddings),
            "casing": np.asarray(layer("casing_vectors").embeddings),
            "habits": np.asarray(layer("habits_vectors").embeddings),
        }
        self._affixes = np.asarray(layer("affix_vectors").vectors)
        spelling = layer("spelling")
        self._characters = np.asarray(spelling.embedding.embeddings)
        self._filters = [np.asarray(filters) for filters in spelling.filters]
        self._biases = [np.asarray(bias) for bias in spelling.biases]
        stack = next(one for one in case.model.layers if hasattr(one, "run"))
        self.network = network_of(stack, dense=layer("emissions"))
        self._chain = [np.asarray(table) for table in layer("crf").tables()]
        self._names = np.array(output_names(case.artifacts.labels.tokens, spans=False), object)

    def answer(self, request: Request, run: Run) -> Answer:
        """Answer a request, the network being run by `run`."""
        rows = [[self._places[token] for token in row if token] for row in request["tokens"]]
        places, lengths = padded(rows)
        seen = {name: values[places] for name, values in self._features.items()}
        affixes = self._affixes[seen["affixes"]] * (seen["affixes"] != 0)[..., None]
        vectors = [
            self._tables["words"][seen["words"]],
            self._spelling(seen["characters"]),
            self._tables["casing"][seen["casing"]],
            self._tables["habits"][seen["habits"]],
            affixes.sum(axis=2),
        ]
        emissions = run(np.concatenate(vectors, axis=-1).astype(np.float32), lengths)
        return {self.output: self._names[viterbi(emissions, lengths, *self._chain)]}

    def _spelling(self, ids: np.ndarray) -> np.ndarray:
        """Return the largest response of every filter to characters int32[B, T, C]."""
        real = (ids != 0)[..., None]
        vectors = self._characters[ids] * real
        width, found = ids.shape[-1], []
        for filters, bias in zip(self._filters, self._biases, strict=True):
            size = len(filters)
            before = (size - 1) // 2
            margin = [(0, 0), (0, 0), (before, size - 1 - before), (0, 0)]
            spaced = np.pad(vectors, margin)
            seen = np.concatenate([spaced[..., at : at + width, :] for at in range(size)], axis=-1)
            response = seen @ filters.reshape(-1, filters.shape[-1]) + bias
            found.append((np.maximum(response, 0) * real).max(axis=2))
        return np.concatenate(found, axis=-1)


def viterbi(
    emissions: np.ndarray, lengths: np.ndarray, start: Any, moves: Any, end: Any
) -> np.ndarray:
    """Return 1 + tag along the best path, int[B, T]; 0 at padding."""
    rows, steps, tags = emissions.shape
    best, came = start + emissions[:, 0], []
    stay = np.arange(tags)
    for step in range(1, steps):
        reached = best[:, :, None] + moves
        here = (step < lengths)[:, None]
        came.append(np.where(here, reached.argmax(axis=1), stay))
        best = np.where(here, reached.max(axis=1) + emissions[:, step], best)
    tag = (best + end).argmax(axis=1)
    path = [tag]
    for before in reversed(came):
        tag = before[np.arange(rows), tag]
        path.append(tag)
    return np.where(np.arange(steps) < lengths[:, None], np.stack(path[::-1], axis=1) + 1, 0)


class Frames:
    """Channels -> confidence of the likeliest label of each frame; labels change freely."""

    output = "confidence"

    def __init__(self, case: Case) -> None:
        layer, artifacts = case.model.get_layer, case.artifacts
        self._mean, self._spread = (
            np.asarray(values, np.float32) for values in (artifacts.mean, artifacts.spread)
        )
        self._flags, self._size = artifacts.missing, case.task.config.patch
        patches = layer("patches")
        self._shape, self._strength = (
            [np.asarray(weight) for weight in part.get_weights()]
            for part in (patches.shape_layer, patches.strength_layer)
        )
        self.network = network_of(layer("stack"), dense=layer("scores"))

    def answer(self, request: Request, run: Run) -> Answer:
        """Answer a request, the network being run by `run`."""
        signal, frames = np.asarray(request["signal"], np.float32), np.asarray(request["frames"])
        seen = np.isfinite(signal)
        scaled = np.where(seen, (signal - self._mean) / self._spread, 0)
        if self._flags:
            scaled = np.concatenate([scaled, ~seen], axis=-1)
        real = (np.arange(signal.shape[1]) < frames[:, None])[..., None]
        patches = self._patches(np.where(real, scaled, 0).astype(np.float32))
        scores = run(patches, -(-frames // self._size))
        sure = softmax(scores[..., 1:]).max(axis=-1).repeat(self._size, axis=1)
        return {self.output: np.where(real[..., 0], sure[:, : signal.shape[1]], 0)}

    def _patches(self, signal: np.ndarray) -> np.ndarray:
        size, width = self._size, signal.shape[-1]
        signal = np.pad(signal, [(0, 0), (0, -signal.shape[1] % size), (0, 0)])
        parts = signal.reshape(len(signal), -1, size, width)
        mean = parts.mean(axis=2)
        spread = np.sqrt(((parts - mean[:, :, None]) ** 2).mean(axis=2) + 1e-4)
        step = np.abs(np.diff(parts, axis=2)).sum(axis=2) / max(1, size - 1)
        strength = np.concatenate([mean, np.log(spread + 0.05), np.log(step + 0.02)], axis=-1)
        flat = parts.reshape(*parts.shape[:2], -1)
        found = [flat @ self._shape[0] + self._shape[1], strength @ self._strength[0]]
        found[1] += self._strength[1]
        return np.maximum(np.concatenate(found, axis=-1), 0)


class LanguageModel:
    """Text -> its bits: how probable every character is after those before it."""

    output = "bits"

    def __init__(self, case: Case) -> None:
        vocabulary = case.artifacts.vocabulary.tokens
        self._ids = {token: number for number, token in enumerate(vocabulary)}
        layer = case.model.get_layer("language_model")
        table = layer.input_layer.matrix
        self.network = network_of(layer.stack, table=table, dense=layer.output_layer)
        known = [row for row in case.examples if all(one in self._ids for one in row.text)]
        case.examples = known

    def answer(self, request: Request, run: Run) -> Answer:
        """Answer a request, the network being run by `run`."""
        targets, lengths = padded([[self._ids[one] for one in text] for text in request["text"]])
        inputs = np.pad(targets[:, :-1], [(0, 0), (1, 0)], constant_values=2)  # begins with BOS
        scores = run(inputs, lengths)
        largest = scores.max(axis=-1, keepdims=True)
        total = np.log(np.exp(scores - largest).sum(axis=-1)) + largest[..., 0]
        chosen = np.take_along_axis(scores, targets[..., None], axis=-1)[..., 0]
        nats = np.where(np.arange(targets.shape[1]) < lengths[:, None], total - chosen, 0)
        return {self.output: nats.sum(axis=1) / np.log(2)}
