"""Problems whose answer needs the whole sequence, drawn by NumPy from a seed.

Every sequence has exactly `length` steps. An answer is judged by an error that is 0 for a perfect
answer; `naive_error` is that of the best answer that ignores the sequence, so the skill
1 - error / naive error is 0 for a network without memory and 1 for one that solved the problem.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]
Loss = Literal["squared error", "cross entropy"]


@dataclass(frozen=True)
class Batch:
    """Sequences and their answers.

    Attributes:
        inputs: float32[B, T, D].
        answers: float32[B, A, 1] of numbers or int64[B, A] of classes; A answers a sequence.
    """

    inputs: Floats
    answers: NDArray[np.float32] | Integers


class Problem(ABC):
    """A family of sequences of any length.

    Attributes:
        name: as the command line has it.
        title: as the page has it.
        text: what is read and what is asked, for a reader who does not know the problem.
        source: the publication it comes from, and what is changed.
        error_name: what `error` measures.
        loss: what training lowers.
        channels: D, numbers read at every step.
        classes: number of possible answers; 1 where the answer is a number.
        readout: steps at the end of the sequence at which outputs are used.
        answers: A, answers a sequence.
        shortest: the smallest length that can be drawn.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    text: ClassVar[str]
    source: ClassVar[str]
    error_name: ClassVar[str]
    loss: ClassVar[Loss]
    channels: ClassVar[int]
    classes: ClassVar[int]
    readout: ClassVar[int] = 1
    answers: ClassVar[int] = 1
    shortest: ClassVar[int]

    @abstractmethod
    def draw(self, generator: np.random.Generator, count: int, length: int) -> Batch:
        """Draw `count` sequences of `length` steps."""

    @abstractmethod
    def naive_error(self) -> float:
        """Return the expected error of the best answer that ignores the sequence."""

    @abstractmethod
    def error(self, outputs: Floats, answers: NDArray[np.float32] | Integers) -> float:
        """Return the mean error of a network's outputs, float32[B, A, classes]."""

    def skill(self, error: float) -> float:
        """Return the share of the naive error that is gone: 0 naive, 1 perfect; may be negative."""
        return 1.0 - error / self.naive_error()


class _Classes(Problem):
    """A problem whose answers are classes: the error is the share answered wrongly."""

    error_name = "share of wrong answers"
    loss: ClassVar[Loss] = "cross entropy"

    def error(self, outputs: Floats, answers: NDArray[np.float32] | Integers) -> float:
        """Return the share of wrong answers."""
        return float(np.mean(np.argmax(outputs, axis=-1) != answers))


class Adding(Problem):
    """Add the two marked ones of many numbers."""

    name = "adding"
    title = "Adding"
    text = (
        "At every step the network reads a number between 0 and 1 and a mark. Two steps are "
        "marked, one in each half of the sequence; after the last step it must tell the sum of "
        "the two marked numbers."
    )
    source = "Hochreiter & Schmidhuber (1997), in the form of Le, Jaitly & Hinton (2015, sec. 4.1)"
    error_name = "mean squared error"
    loss: ClassVar[Loss] = "squared error"
    channels = 2
    classes = 1
    shortest = 2

    def draw(self, generator: np.random.Generator, count: int, length: int) -> Batch:
        """Draw numbers and one mark in each half."""
        numbers = generator.random((count, length), dtype=np.float32)
        marks = np.zeros((count, length), np.float32)
        rows, half = np.arange(count), length // 2
        marks[rows, generator.integers(0, half, count)] = 1
        marks[rows, generator.integers(half, length, count)] = 1
        sums = np.sum(numbers * marks, axis=1)
        return Batch(np.stack([numbers, marks], axis=2), sums[:, None, None])

    def naive_error(self) -> float:
        """Return the variance of a sum of two uniform numbers: always answering 1."""
        return 1 / 6

    def error(self, outputs: Floats, answers: NDArray[np.float32] | Integers) -> float:
        """Return the mean squared error."""
        return float(np.mean(np.square(outputs - answers)))


class Copy(_Classes):
    """Repeat the symbols of the beginning at the end."""

    name = "copy"
    title = "Copy"
    symbols: ClassVar[int] = 8
    answers = 3
    readout = 3
    text = (
        "The first 3 steps show symbols of an alphabet of 8, blanks follow. Over the last 3 steps, "
        "the first of which carries a signal, the network must repeat the 3 symbols in their order."
    )
    source = (
        "Hochreiter & Schmidhuber (1997), in the form of Arjovsky, Shah & Bengio (2016, sec. 4.1), "
        "who ask for 10 symbols and train for hours; 3 keep it within minutes"
    )
    channels = 10
    classes = 8
    shortest = 7

    def draw(self, generator: np.random.Generator, count: int, length: int) -> Batch:
        """Draw symbols, one-hot; channel 8 is the blank and 9 the signal."""
        symbols = generator.integers(0, self.symbols, (count, self.answers))
        read = np.full((count, length), self.symbols)
        read[:, : self.answers] = symbols
        read[:, length - self.answers] = self.symbols + 1
        return Batch(np.eye(self.channels, dtype=np.float32)[read], symbols)

    def naive_error(self) -> float:
        """Return the share of wrong guesses at a symbol."""
        return 1 - 1 / self.symbols


class Parentheses(_Classes):
    """Count the brackets that are still open, of two kinds."""

    name = "parentheses"
    title = "Parentheses"
    deepest: ClassVar[int] = 3
    answers = 2
    text = (
        "Brackets of two kinds are strewn over blanks: the first half of the sequence opens up to "
        "3 of each kind, the second half closes some of them. After the last step the network must "
        "tell for each kind how many are still open, 0 to 3."
    )
    source = (
        "after the parenthesis task of Jing et al. (2017, sec. 4.3), who ask after every step for "
        "ten kinds of bracket; here once, so that the memory must span the sequence"
    )
    channels = 5
    classes = 4
    shortest = 12

    def draw(self, generator: np.random.Generator, count: int, length: int) -> Batch:
        """Draw brackets; channels are ( and ), [ and ], and the blank."""
        opened = generator.integers(0, self.deepest + 1, (count, 2))
        closed = generator.integers(0, opened + 1)
        half = length // 2
        read = np.full((count, length), self.channels - 1)
        _strew(generator, read[:, :half], opened, kinds=(0, 2))
        _strew(generator, read[:, half:], closed, kinds=(1, 3))
        return Batch(np.eye(self.channels, dtype=np.float32)[read], opened - closed)

    def naive_error(self) -> float:
        """Return the share of brackets counts that are not 0, the commonest."""
        depths = range(self.deepest + 1)
        return 1 - sum(1 / (opened + 1) for opened in depths) / len(depths)


def _strew(
    generator: np.random.Generator, read: Integers, counts: Integers, *, kinds: tuple[int, int]
) -> None:
    """Put `counts[:, k]` signs `kinds[k]` at random places of the rows of `read`, in place."""
    places = np.argsort(generator.random(read.shape), axis=1)  # a random order of every row's steps
    rank = np.argsort(places, axis=1)
    first, both = counts[:, :1], counts.sum(axis=1, keepdims=True)
    read[rank < both] = kinds[1]
    read[rank < first] = kinds[0]


PROBLEMS: dict[str, Problem] = {p.name: p for p in (Adding(), Copy(), Parentheses())}
