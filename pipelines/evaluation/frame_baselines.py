"""Classical systems that a frame labeller has to be held against.

Their outputs have the keys and shapes of the exported model's: `labels` object[N, T], "" on
padding, and `confidence` float32[N, T].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.baselines import MAJORITY
from pipelines.evaluation.frame_boosting import BOOSTING, WindowBoosting

if TYPE_CHECKING:
    from pipelines.datasets.frames import FrameRows, FrameStream
    from pipelines.datasets.splits import Splits

Array = NDArray[Any]
Outputs = dict[str, Array]
SMOOTHED = f"{BOOSTING}, smoothed"


def frame_baselines(
    splits: Splits[FrameStream], *, causal: bool, seed: int = 17
) -> dict[str, Outputs]:
    """Label the test streams by the majority class and by gradient boosting; the weakest first.

    Args:
        splits: streams to learn from, to choose by, and to be labelled; each a `FrameRows`.
        causal: whether a frame's label may only depend on that frame and earlier ones.
        seed: of the trees.

    Returns:
        System -> outputs. With a single training class there is nothing to boost.

    Raises:
        EvaluationError: there is no training frame, or a label that is none of the classes.
    """
    train, valid, test = (_streams(rows) for _, rows in splits.named())
    found = {MAJORITY: majority_frames(train, test)}
    boosting = WindowBoosting(causal=causal, seed=seed)
    if boosting.can_learn(train):
        boosting.fit(train, valid)
        plain = boosting.predict(test)
        found[BOOSTING] = outputs_of(plain, test)
        found[SMOOTHED] = outputs_of(boosting.smooth(plain), test)
    return found


def majority_frames(train: FrameRows, test: FrameRows) -> Outputs:
    """Answer the most frequent training label for every frame, with its training share.

    Raises:
        EvaluationError: there is no training frame.
    """
    counts = train.frames_of()
    total = sum(counts[label] for label in train.classes)
    if total == 0:
        raise EvaluationError(
            f"{MAJORITY}: no training frame has any of the labels {list(train.classes)}; at least "
            "one is needed: check the training split"
        )
    shares = np.array([counts[label] / total for label in train.classes])
    answers = [np.broadcast_to(shares, (frames, len(shares))) for frames in test.lengths.tolist()]
    return outputs_of(answers, test)


def outputs_of(probabilities: Sequence[Array], rows: FrameRows) -> Outputs:
    """Give the probabilities [T, C] of every stream the form of the exported model's outputs."""
    shape = len(rows), int(max(rows.lengths, default=0))
    labels, confidence = np.full(shape, "", object), np.zeros(shape, np.float32)
    names = np.array(rows.classes, object)
    for place, shares in enumerate(probabilities):
        labels[place, : len(shares)] = names[shares.argmax(axis=1)]
        confidence[place, : len(shares)] = shares.max(axis=1)
    return {"labels": labels, "confidence": confidence}


def _streams(rows: Any) -> FrameRows:
    from pipelines.datasets.frames import FrameRows

    if not isinstance(rows, FrameRows):
        raise TypeError(f"{type(rows).__name__} are no streams of frames")
    return rows
