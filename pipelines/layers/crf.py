"""A linear-chain conditional random field: its scores, its likelihood and its loss.

The probability of tags y_0 ... y_{T-1} given a sentence x is (Lafferty et al., 2001)

    P(y | x) = exp(score(y)) / Z,    score(y) = sum over t of potentials[t, y_{t-1}, y_t],

with Z the sum of exp(score) over all K^T sequences. Every function takes the log-potentials
float32[B, T, K, K] alone; entry [b, t, i, j] is the score of tag j at step t after tag i at t - 1.

- Step 0 has no tag before it: y_{-1} is 0 by convention. Row 0 holds the scores of the first tag,
  every other row NEVER, so that step 0 needs no case of its own.
- The score of ending is added at the last real step.
- A padding step is the identity of the (log-sum-exp, +) semiring, 0 on the diagonal and NEVER off
  it. It repeats the last real tag and changes no score: no function needs a mask.
- An illegal step scores NEVER, so low that no sum of real scores outweighs it, yet finite: NEVER
  times 0 is 0, and neither values nor gradients become NaN.

The forward pass (Rabiner, 1989, sec. III) sums over prefixes, a_t(j) = log of the sum of exp(score)
over all y_0 ... y_t = j. By Bayes' rule it turns the field into a Markov chain read backwards:

    W_t(i, j) = P(y_{t-1} = i | y_t = j, x) = exp(a_{t-1}(i) + potentials[t, i, j] - a_t(j)).

Every column of W_t is a distribution, so the second pass, p_{t-1} = W_t p_t, stays within [0, 1]
and keeps its digits however long the sentence. It yields the marginals P(y_t = j | x) and, as
W_t(i, j) p_t(j), the gradient of log Z. Only differences of the prefix sums matter: each a_t is
shifted by its largest value, and the shifts are summed apart.

As the output layer of a tagger: Huang et al. (2015), Lample et al. (2016).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.tag_constraints import Constraints

PACKAGE = "pipelines"
NEVER = -1e30  # absorbs scores up to 1e22; a sum over 1e8 steps is still finite in float32


@keras.saving.register_keras_serializable(package=PACKAGE)
class CRF(keras.layers.Layer):
    """Turns the scores of single tags into the log-potentials of a chain.

    Maps emissions float32[B, T, K] and a mask bool[B, T] to float32[B, T, K, K]. Sentences are
    right-padded and have at least one real token.

    Args:
        constraints: which tags may start, follow one another and end; None allows everything.
        learned: learn scores of starting, following and ending. False is the constrained softmax:
            the layer has no weights, emissions are log-softmaxed, and P(y | x) is a product of
            independent tag probabilities, renormalised over the legal sequences. Without
            constraints its likelihood is the cross-entropy.
    """

    def __init__(
        self, constraints: Constraints | None = None, *, learned: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.constraints = None if constraints is None else Constraints(*constraints)
        self.learned = learned
        self.supports_masking = True

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create transitions float32[K, K], start float32[K] and end float32[K], all 0."""
        tags = input_shape[-1]
        if self.constraints is not None and len(self.constraints.start) != tags:
            raise ConfigError(
                f"constraints of CRF layer {self.name!r} do not fit its input: got "
                f"{len(self.constraints.start)} tags, expected {tags} (the size of the emissions' "
                "last axis); derive them from the same tag list as the layer below"
            )
        self._tags = tags
        if self.learned:
            self.transitions = self.add_weight((tags, tags), "zeros", name="transitions")
            self.start = self.add_weight((tags,), "zeros", name="start")
            self.end = self.add_weight((tags,), "zeros", name="end")
        self.built = True

    def call(self, emissions: Any, mask: Any = None) -> Any:
        """Return the log-potentials, float32[B, T, K, K].

        Args:
            emissions: score of each tag at each step, float32[B, T, K]; finite.
            mask: True on real tokens, bool[B, T]; None means all.
        """
        if mask is None:
            mask = ops.ones_like(emissions[..., 0], dtype="bool")
        if not self.learned:
            emissions = ops.log_softmax(emissions)
        start, moves, end = self.tables()
        more = ops.pad(mask[:, 1:], ((0, 0), (0, 1)))
        emissions = ops.where(mask[..., None], emissions, 0.0)
        emissions += ops.where(ops.logical_and(mask, ops.logical_not(more))[..., None], end, 0.0)
        # Which of the three tables [K, K] each step adds: the entry, a move, or padding.
        tables = ops.stack([_entry(start), moves, _identity(emissions.shape[-1])])
        first = ops.arange(ops.shape(mask)[1]) == 0
        kind = ops.where(first, 0, ops.where(mask, 1, 2))
        return ops.take(tables, kind, axis=0) + emissions[:, :, None, :]

    def tables(self) -> tuple[Any, Any, Any]:
        """Return scores of starting [K], following [K, K] and ending [K]; NEVER where illegal."""
        tags = self._tags
        scores = [ops.zeros((tags,)), ops.zeros((tags, tags)), ops.zeros((tags,))]
        if self.learned:
            scores = [self.start, self.transitions, self.end]
        start, moves, end = (
            ops.where(ops.convert_to_tensor(legal, "bool"), ops.convert_to_tensor(score), NEVER)
            for legal, score in zip(self.constraints or (True,) * 3, scores, strict=True)
        )
        return start, moves, end

    def compute_mask(self, *_: Any) -> None:
        """Return no mask: the potentials carry it."""

    def compute_output_shape(self, input_shape: tuple[Any, ...], *_: Any) -> tuple[Any, ...]:
        """Return [B, T, K, K]."""
        return (*input_shape, input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        constraints = self.constraints and [list(part) for part in self.constraints]
        return super().get_config() | {"constraints": constraints, "learned": self.learned}


def _entry(start: Any) -> Any:
    """Return the table of step 0: the tag before it is 0, [K, K]."""
    return ops.where(ops.arange(start.shape[0])[:, None] == 0, start, NEVER)


def _identity(tags: int) -> Any:
    """Return the table of a padding step: the tag before it is repeated, [K, K]."""
    numbers = ops.arange(tags)
    return ops.where(numbers[:, None] == numbers, 0.0, NEVER)


def log_normalizer(potentials: Any) -> Any:
    """Return log Z of each sentence, float32[B], of log-potentials [B, T, K, K].

    The gradient with respect to the potentials is the probability of each pair of tags. It is
    computed as such, not by walking the forward loop back; it has no gradient of its own.
    """
    return ops.custom_gradient(_log_normalizer)(potentials)


def _log_normalizer(potentials: Any) -> tuple[Any, Any]:
    sums = prefix_sums(potentials)
    shifts = ops.sum(ops.max(sums, axis=-1), axis=-1)

    def gradient(upstream: Any) -> Any:
        chain = ops.exp(log_backward_chain(potentials, sums))
        tags = tag_marginals(chain, sums) * upstream[:, None, None]
        return chain * tags[:, :, None, :]

    return shifts + ops.logsumexp(shifted(sums[:, -1]), axis=-1), gradient


def path_score(potentials: Any, tags: Any) -> Any:
    """Return the unnormalised score of one path for each sentence, float32[B].

    Args:
        potentials: log-potentials, float32[B, T, K, K].
        tags: int[B, T]; a negative tag marks padding.
    """
    return ops.sum(along_path(potentials, tags[:, :, None]), axis=(1, 2))


def negative_log_likelihood(tags: Any, potentials: Any) -> Any:
    """Return -log P(tags | x) in nats, float32[B].

    Args:
        tags: legal sequences, int[B, T]; a negative tag marks padding.
        potentials: log-potentials, float32[B, T, K, K].
    """
    return log_normalizer(potentials) - path_score(potentials, tags)


@keras.saving.register_keras_serializable(package=PACKAGE)
class CRFLoss(keras.losses.Loss):
    """Negative log-likelihood in nats per token of the batch.

    y_true is int[B, T], tag + 1 with 0 for padding; y_pred the log-potentials [B, T, K, K]. The
    likelihood of each sentence is divided by the mean length of the batch's sentences, so that the
    mean over sentences (Keras' default reduction) is the sum over all sentences divided by the
    number of all tokens: learning rates suit short and long sentences alike. Sentence weights
    float[B] multiply the terms of that mean.
    """

    def __init__(self, name: str = "crf_loss", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each sentence, float32[B]."""
        tags = ops.cast(y_true, "int32") - 1
        lengths = ops.sum(ops.cast(tags >= 0, y_pred.dtype), axis=1)
        return negative_log_likelihood(tags, y_pred) / ops.maximum(ops.mean(lengths), 1.0)


def prefix_sums(potentials: Any) -> Any:
    """Run the forward pass; return a_t(j) counted from the largest a_{t-1}, float32[B, T, K]."""

    def step(before: Any, t: Any) -> tuple[Any, Any]:
        scores = before[:, :, None] + potentials[:, t]
        largest = ops.max(scores, axis=1)
        sums = largest + ops.log(ops.sum(ops.exp(scores - largest[:, None, :]), axis=1))
        return shifted(sums), sums

    return over_time(step, ops.zeros_like(potentials[:, 0, 0]), potentials)


def log_backward_chain(potentials: Any, sums: Any) -> Any:
    """Return log W, the log-probability of the tag before each tag, float32[B, T, K, K].

    Args:
        potentials: log-potentials, float32[B, T, K, K].
        sums: their prefix sums, float32[B, T, K].
    """
    before = ops.pad(shifted(sums)[:, :-1], ((0, 0), (1, 0), (0, 0)))
    return before[..., None] + potentials - sums[:, :, None, :]


def tag_marginals(chain: Any, sums: Any) -> Any:
    """Return P(y_t = j | x), float32[B, T, K].

    Args:
        chain: W, float32[B, T, K, K].
        sums: prefix sums, float32[B, T, K].
    """

    def step(tags: Any, t: Any) -> tuple[Any, Any]:
        return ops.sum(chain[:, t] * tags[:, None, :], axis=2), tags

    return over_time(step, ops.exp(ops.log_softmax(sums[:, -1])), chain, reverse=True)


def along_path(values: Any, tags: Any) -> Any:
    """Return values[b, t, y_{t-1}, y_t] along paths, [B, T, N].

    Args:
        values: one for each pair of tags, [B, T, K, K].
        tags: N paths a sentence, int[B, T, N]; a negative tag marks padding.
    """
    count = values.shape[-1]
    tags = repeat_last(tags)
    before = ops.pad(tags[:, :-1], ((0, 0), (1, 0), (0, 0)))
    flat = ops.reshape(values, (-1, ops.shape(values)[1], count * count))
    return ops.take_along_axis(flat, before * count + tags, axis=2)


def repeat_last(tags: Any) -> Any:
    """Replace the negative tags that mark padding by the last real tag, int[B, T, N]."""
    steps = ops.arange(ops.shape(tags)[1])[:, None]
    last = ops.sum(ops.cast(tags >= 0, "int32"), axis=1, keepdims=True) - 1
    return ops.take_along_axis(tags, ops.maximum(ops.minimum(steps, last), 0), axis=1)


def over_time(step: Any, start: Any, sequence: Any, *, reverse: bool = False) -> Any:
    """Scan over the steps of [B, T, ...]; return the outputs of `step`, [B, T, ...].

    Args:
        step: maps a state and the number of a step to the next state and an output of its form.
        start: state before the first step (the last one if reversed).
        sequence: what `step` reads from; it gives the number of steps.
        reverse: go from the last step to the first.
    """
    steps = ops.arange(ops.shape(sequence)[1])
    _, outputs = ops.scan(step, start, steps, reverse=reverse)
    return keras.tree.map_structure(lambda values: ops.swapaxes(values, 0, 1), outputs)


def shifted(scores: Any) -> Any:
    """Return scores minus their largest, [..., K]."""
    return scores - ops.max(scores, axis=-1, keepdims=True)
