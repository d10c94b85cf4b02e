"""How ready a tagger is to mark a span: chosen by F1 on held-out sentences.

Where spans are few, the most probable path leaves out most of the doubtful ones. F1 counts a missed
span and a wrong one alike, and is better served by marking some of them (Jansche, 2005, maximises
F1 directly). Probabilities shift by as much: they are then those of a reader who errs on that side.
"""

from __future__ import annotations

import keras
import numpy as np

from pipelines.batching import Batches
from pipelines.datasets.tag_schemes import OUTSIDE
from pipelines.text.tagger_validation import TaggerValidation

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)  # nats taken from every token outside


def favour_spans(model: keras.Model, validation: TaggerValidation, batches: Batches) -> float:
    """Lower the score of being outside by what gives the best F1; return the nats taken.

    F1 of a few hundred spans is jagged: each step is judged together with its two neighbours.

    Args:
        model: a tagger, trained; its layer "emissions" is changed.
        validation: measures it.
        batches: of the validation split.
    """
    if OUTSIDE not in validation.tags:
        return 0.0
    dense = model.get_layer("emissions")
    weights, biases = dense.get_weights()
    joint = [layer for layer in model.layers if layer.name == "joint"]
    share = float(joint[0].mix[0]) if joint else 1.0
    outside = validation.tags.index(OUTSIDE) - 1

    def lowered(step: float) -> list[np.ndarray]:
        changed = biases.copy()
        changed[outside] -= step / share
        return [weights, changed]

    values = []
    for step in STEPS:
        dense.set_weights(lowered(step))
        values.append(validation.decoded(batches)["f1"])
    padded = np.pad(values, 1, mode="edge")
    best = STEPS[int(np.argmax(padded[:-2] + 2 * padded[1:-1] + padded[2:]))]
    dense.set_weights(lowered(best))
    return best
