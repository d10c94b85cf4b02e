"""A linear text model inside a network, and the weights that join the two.

On small sets a linear model over n-grams is hard to beat, and it errs elsewhere than a recurrent
network does. So it is fitted by its own, convex method and made a part of the network.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
from keras import ops
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from pipelines.corpus import Ragged

PACKAGE = "pipelines"


@keras.saving.register_keras_serializable(package=PACKAGE)
class NgramLinear(keras.layers.Layer):
    """Linear scores of the distinct n-grams of a text, TF-IDF weighted with binary TF.

    Maps ids int32[B, N] (0 is padding) to float32[B, C]: the weights of the row's n-grams, each
    times its inverse document frequency, divided by the row's Euclidean norm, plus a bias. The
    weights are set by `fit_linear`, not by gradient descent.
    """

    def __init__(self, buckets: int, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False})
        self.buckets, self.classes = buckets, classes

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create idf float32[buckets + 1] and weights float32[buckets + 1, C]."""
        del input_shape
        rows = self.buckets + 1
        self.idf = self.add_weight(shape=(rows,), initializer="zeros", name="idf")
        self.kernel = self.add_weight(
            shape=(rows, self.classes), initializer="zeros", name="kernel"
        )
        self.bias = self.add_weight(shape=(self.classes,), initializer="zeros", name="bias")
        self.built = True

    def call(self, ids: Any) -> Any:
        """Return the scores of each class, float32[B, C]."""
        values = ops.take(self.idf, ids, axis=0)  # idf[0] stays 0, so padding weighs nothing
        norm = ops.sqrt(ops.sum(ops.square(values), axis=-1, keepdims=True))
        scores = ops.einsum("bn,bnc->bc", values, ops.take(self.kernel, ids, axis=0))
        return scores / ops.maximum(norm, 1e-6) + self.bias

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return [B, C]."""
        return (input_shape[0], self.classes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"buckets": self.buckets, "classes": self.classes}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Blend(keras.layers.Layer):
    """A weighted sum of several systems' scores plus a bias (stacking; Wolpert, 1992).

    Maps a list of float32[B, C] to float32[B, C]. The weights are set by `fit_blend`.
    """

    def __init__(self, systems: int, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False})
        self.systems = systems

    def build(self, input_shape: list[tuple[int | None, ...]]) -> None:
        """Create one weight a system, all equal, and a bias a class."""
        self.mix = self.add_weight(
            shape=(self.systems,),
            initializer=keras.initializers.Constant(1 / self.systems),
            name="mix",
        )
        self.bias = self.add_weight(shape=(input_shape[0][-1],), initializer="zeros", name="bias")
        self.built = True

    def call(self, scores: list[Any]) -> Any:
        """Return the joint scores, float32[B, C]."""
        return ops.einsum("sbc,s->bc", ops.stack(scores), self.mix) + self.bias

    def compute_output_shape(self, input_shape: list[tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return [B, C]."""
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"systems": self.systems}


def inverse_document_frequency(grams: Ragged, buckets: int) -> np.ndarray:
    """Return log((1 + N) / (1 + n)) + 1 of every n-gram id, float32[buckets + 1]; 0 for padding."""
    seen = np.bincount(grams.values, minlength=buckets + 1)
    idf = np.log((1 + len(grams.lengths)) / (1 + seen)) + 1
    idf[0] = 0
    return np.asarray(idf, np.float32)


def _matrix(grams: list[Ragged], idfs: list[np.ndarray]) -> sp.csr_matrix:
    """Return TF-IDF rows, [N, columns of all kinds]; each kind has unit length in each row.

    Each id occurs once a row. The arrays are filled in place: they are the largest of a run.
    """
    starts = np.concatenate([[0], np.cumsum(sum(ids.lengths.astype(np.int64) for ids in grams))])
    values, columns = np.empty(starts[-1]), np.empty(starts[-1], np.int32)
    begins, width = starts[:-1].copy(), 0
    for ids, idf in zip(grams, idfs, strict=True):
        firsts = np.cumsum(ids.lengths) - ids.lengths
        for rows in _row_blocks(len(ids.lengths)):
            lengths = ids.lengths[rows]
            first, count = int(firsts[rows][0]), int(lengths.sum())
            block = ids.values[first : first + count]
            places = np.repeat(begins[rows] - firsts[rows] + first, lengths) + np.arange(count)
            weights = idf[block].astype(np.float64)
            owners = np.repeat(np.arange(len(lengths)), lengths)
            norms = np.sqrt(np.bincount(owners, np.square(weights), minlength=len(lengths)))
            values[places] = weights / np.maximum(norms, 1e-6)[owners]
            columns[places] = block.astype(np.int32) + width
        begins += ids.lengths
        width += len(idf)
    return sp.csr_matrix((values, columns, starts), (len(starts) - 1, width))


def _row_blocks(rows: int, size: int = 4096) -> list[slice]:
    return [slice(start, start + size) for start in range(0, rows, size)]


def fit_linear(
    layers: list[NgramLinear],
    grams: list[Ragged],
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    penalty: float,
    seed: int,
) -> None:
    """Fit one-against-rest logistic regressions over all n-gram kinds and set the layers' weights.

    Args:
        layers: one for each kind of n-gram; built.
        grams: their ids in the training rows; each id at most once a row.
        targets: probability of each class, float[N, C]; rows may be soft.
        weights: weight of each row, float[N].
        penalty: scikit-learn's C: larger fits closer.
        seed: order of the solver's coordinates.
    """
    idfs = [
        inverse_document_frequency(ids, layer.buckets)
        for layer, ids in zip(layers, grams, strict=True)
    ]
    matrix = _matrix(grams, idfs)
    fitted = [
        _fit_one(matrix, targets[:, column], weights, penalty, seed)
        for column in range(1 if targets.shape[1] == 2 else targets.shape[1])
    ]
    kernel, bias = _two_sided(fitted) if targets.shape[1] == 2 else _one_each(fitted)
    start = 0
    for layer, idf in zip(layers, idfs, strict=True):
        share = bias if start == 0 else np.zeros_like(bias)
        layer.set_weights([idf, kernel[start : start + len(idf)], share])
        start += len(idf)


def _fit_one(
    matrix: sp.csr_matrix, target: np.ndarray, weights: np.ndarray, penalty: float, seed: int
) -> tuple[np.ndarray, float]:
    """Fit P(class) to a soft target: a row counts as both answers, by their probabilities."""
    model = LogisticRegression(C=penalty, solver="liblinear", random_state=seed)
    if np.isin(target, (0, 1)).all():  # no row counts as both: a copy of the matrix is saved
        model.fit(matrix, target.astype(np.int64), sample_weight=weights)
        return model.coef_[0], float(model.intercept_[0])
    counts = np.concatenate([weights * target, weights * (1 - target)])
    used = counts > 0
    answers = np.repeat([1, 0], len(target))[used]
    rows = np.tile(np.arange(len(target)), 2)[used]
    model.fit(matrix[rows], answers, sample_weight=counts[used])
    return model.coef_[0], float(model.intercept_[0])


def _two_sided(fitted: list[tuple[np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Two classes need one regression: half its score for one class, minus half for the other."""
    ((slope, bias),) = fitted
    return np.stack([slope, -slope], 1) / 2, np.array([bias, -bias]) / 2


def _one_each(fitted: list[tuple[np.ndarray, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([slope for slope, _ in fitted], 1), np.array([bias for _, bias in fitted])


def fit_blend(
    blend: Blend, scores: list[np.ndarray], labels: np.ndarray, *, prior_rows: float = 2.0
) -> None:
    """Choose the systems' weights and the bias by log loss on held-out rows.

    Args:
        blend: the layer to set; built.
        scores: each system's scores on rows none of them was fitted on, float[N, C].
        labels: true classes, int[N].
        prior_rows: strength of the pull towards weights of 1 and no bias, so that a handful of
            rows cannot decide.
    """
    stacked = np.stack(scores).astype(np.float64)
    systems, _, classes = stacked.shape

    def loss(parameters: np.ndarray) -> float:
        mix, bias = parameters[:systems], parameters[systems:]
        joint = np.einsum("snc,s->nc", stacked, mix) + bias
        surprise = -log_softmax(joint, axis=1)[np.arange(len(labels)), labels].sum()
        return float(surprise + prior_rows * (np.square(mix - 1).sum() + np.square(bias).sum()))

    bounds = [(0.0, None)] * systems + [(None, None)] * classes
    start = np.concatenate([np.full(systems, 1 / systems), np.zeros(classes)])
    found = minimize(loss, start, bounds=bounds, method="L-BFGS-B").x
    blend.set_weights([found[:systems], found[systems:]])
