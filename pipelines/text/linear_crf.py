"""The linear part of a tagger: fitted by CRFsuite, run in the graph, weighed on held-out rows."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pycrfsuite
from keras import ops
from scipy.optimize import minimize

from pipelines.batching import Batches
from pipelines.corpus import EncodedCorpus
from pipelines.layers.crf import negative_log_likelihood
from pipelines.text.tagger_validation import with_known_tags

MOST_ITERATIONS = 100
MOST_WORDS = 200_000  # more teach the linear part little, and take minutes
CALIBRATION_WORDS = 20_000
LARGEST_LOG = 3.0  # of the weight of a part


def fit_linear_crf(
    model: keras.Model, corpus: EncodedCorpus, labels: Sequence[str], *, penalty: float
) -> None:
    """Fit the layers "linear_emissions" and "linear_crf" of a tagger, by L-BFGS.

    Args:
        model: what `tagger.build` returned.
        corpus: the training split, with features "clues" and "tags".
        labels: the model's tags.
        penalty: weight of the squared weights.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.crfsuite")  # CRFsuite speaks through files only
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        for clues, tags in _sentences(corpus):
            names = [labels[code - 1] for code in tags]
            trainer.append([[str(clue) for clue in word if clue] for word in clues], names)
        trainer.set_params(
            {
                "c1": 0.0,
                "c2": penalty,
                "max_iterations": MOST_ITERATIONS,
                "feature.possible_transitions": True,
                "feature.possible_states": True,
            }
        )
        trainer.train(path)
        tagger = pycrfsuite.Tagger()
        tagger.open(path)
        learned = tagger.info()
        tagger.close()
    _copy(model, learned, {label: code for code, label in enumerate(labels)})


def _sentences(corpus: EncodedCorpus) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return clues int[T, F] and codes int[T] of sentences, up to the most words."""
    clues, tags = corpus.ragged("clues"), corpus.ragged("tags")
    ends = np.cumsum(tags.lengths)
    count = max(1, int(np.searchsorted(ends, MOST_WORDS, side="right")))
    starts = ends - tags.lengths
    return [
        (clues.values[start:end], tags.values[start:end])
        for start, end in zip(starts[:count], ends[:count], strict=True)
    ]


def _copy(model: keras.Model, learned: pycrfsuite.Info, codes: dict[str, int]) -> None:
    """Put CRFsuite's weights into the layers that use them in the graph."""
    emissions, chain = model.get_layer("linear_emissions"), model.get_layer("linear_crf")
    weights = np.zeros(emissions.vectors.shape, np.float32)
    for (clue, label), weight in learned.state_features.items():
        weights[int(clue), codes[label]] = weight
    emissions.vectors.assign(weights)
    transitions = np.zeros(chain.transitions.shape, np.float32)
    for (before, after), weight in learned.transitions.items():
        transitions[codes[before], codes[after]] = weight
    chain.transitions.assign(transitions)


def weigh_parts(model: keras.Model, batches: Batches) -> None:
    """Set how much the network and the linear part count, by likelihood on held-out sentences.

    The weights also calibrate the probabilities: two systems that say the same must not count as
    two witnesses.

    Args:
        model: a tagger, both parts trained.
        batches: of the validation split.
    """
    joint = model.get_layer("joint")
    parts = keras.Model(model.inputs, [model.get_layer("crf").output, joint.input[1]])
    held_out, words = [], 0
    for inputs, tags, _ in with_known_tags(batches.epoch(0)):
        first, second = parts.predict_on_batch(inputs)
        held_out.append((first, second, np.asarray(tags) - 1))
        words += int((tags > 0).sum())
        if words > CALIBRATION_WORDS:
            break

    def loss(logs: np.ndarray) -> float:
        one, two = np.exp(logs)
        losses = [
            ops.sum(negative_log_likelihood(tags, one * first + two * second))
            for first, second, tags in held_out
        ]
        return float(sum(losses)) / words

    found = minimize(
        loss,
        np.log([0.5, 0.5]),
        method="Nelder-Mead",
        bounds=[(-LARGEST_LOG, LARGEST_LOG)] * 2,  # where no sentence is left wrong, none is best
        options={"maxfev": 60},
    )
    joint.mix.assign(np.exp(found.x))
