"""Judge a captioner while it is trained: by what it would write, beside how probable captions are.

The likelihood of held-out captions worsens long before what is written does: a network that has
learnt its training captions by heart is too sure of itself, and still names more things rightly.
CIDEr-D of what is written jumps about where few pictures are much alike: an early epoch that says
the same of all people can have the highest. The share of next words told rightly has neither fault,
and chooses the epoch; CIDEr-D is shown beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from pipelines.batching import Batches
from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner import read_of
from pipelines.captioning.captioner_config import CaptionerConfig
from pipelines.corpus import EncodedCorpus
from pipelines.evaluation.caption_cider import CiderD
from pipelines.evaluation.caption_metrics import tokens_of
from pipelines.feeding import evaluate_model
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.decoding import BeamSettings, beam_search
from pipelines.layers.sequence_losses import SmoothedCrossEntropy
from pipelines.text.decoder_objective import likelihood_judge
from pipelines.text.vocabulary import BOS, PAD, RESERVED, UNK
from pipelines.training import Objective

ROWS = 64  # images captioned at once
WORD_START = "\u2581"  # how subword pieces mark the beginning of a word


class CaptionWriter(keras.layers.Layer):
    """Maps an encoder's map float[B, P, C] to what a search finds to say about it.

    That is tokens int32[B, K, T] and scores float32[B, K] of K hypotheses, the best first.
    """

    def __init__(self, decoder: AttentionDecoder, settings: BeamSettings, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decoder, self.search = decoder, settings
        self.built = True

    def call(self, memory: Any) -> tuple[Any, Any]:
        """Write about each image."""
        memory, mask, summary = read_of(memory)
        prepared = self.decoder.prepare(memory, mask, summary)
        limits = ops.full((ops.shape(memory)[0],), self.search.max_length, dtype="int32")
        decoded = beam_search(
            lambda tokens, state: self.decoder.step(tokens, state, prepared),
            self.decoder.start(summary, memory=memory),
            limits,
            self.search,
        )
        return decoded.tokens, ops.cast(decoded.score, "float32")

    def compute_output_spec(self, memory: Any) -> tuple[Any, Any]:
        """Return [B, K, T] and [B, K]."""
        shape = (memory.shape[0], self.search.beams)
        tokens = keras.KerasTensor((*shape, None), dtype="int32")
        return tokens, keras.KerasTensor(shape, dtype="float32")


def writer_of(
    model: keras.Model, config: CaptionerConfig, *, column: str, beams: int
) -> keras.Model:
    """Return the model from images, or from a frozen encoder's maps, to captions.

    Args:
        model: what `captioner.build` returned.
        config: its settings.
        column: what is read, "image" or "features".
        beams: hypotheses kept; with 1 the search is greedy.

    Returns:
        a model whose outputs are the summary float32[B, C] and those of `CaptionWriter`.
    """
    encoder, decoder = model.get_layer("encoder"), model.get_layer("decoder")
    memory = encoder.output[0]
    given = encoder.input
    if column == "features":
        given = memory = keras.Input(memory.shape[1:], name="features")
    settings = BeamSettings(
        beams=beams,
        banned=(PAD, UNK, BOS),
        length_penalty=config.length_penalty,
        no_repeat_ngram=config.no_repeat_ngram,
        max_length=config.max_tokens - 1,
    )
    summary = read_of(memory)[2]
    writer = keras.Model(given, [summary, *CaptionWriter(decoder, settings)(memory)])
    writer.compile(jit_compile=keras.backend.backend() == "jax")
    return writer


def written(
    writer: keras.Model, corpus: EncodedCorpus, column: str, images: np.ndarray
) -> Iterator[list[np.ndarray]]:
    """Yield summaries, tokens and scores of some images, a block at a time.

    Args:
        writer: of `writer_of`.
        corpus: encoded images.
        column: what the writer reads.
        images: numbers of those to read, rising.
    """
    for start in range(0, len(images), ROWS):
        block = corpus.shared_values(column, images[start : start + ROWS])
        yield [np.asarray(part) for part in writer.predict_on_batch(block)]


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Return at most `most` numbers below `count`, int64."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(np.int64))


def caption_objective(
    model: keras.Model, config: CaptionerConfig, learner: keras.Model, artifacts: CaptionArtifacts
) -> Objective:
    """Return smoothed cross-entropy; the share of next words told rightly chooses the best epoch.

    Args:
        model: what `captioner.build` returned.
        config: its settings.
        learner: what is trained; shares its layers.
        artifacts: tell which words tokens stand for.
    """
    judge = likelihood_judge(keras.Model(learner.inputs, learner.outputs))
    column = column_of([tensor.name for tensor in learner.inputs])
    writer = writer_of(model, config, column=column, beams=1)

    def validate(trained: keras.Model, batches: Batches) -> dict[str, float]:
        del trained  # judge and writer have its layers
        told = evaluate_model(judge, batches)
        score = written_score(writer, batches.corpus, column, config.monitored, artifacts)
        return told | {"cider_d": score}

    loss = SmoothedCrossEntropy(config.label_smoothing)
    return Objective(loss, [], "accuracy", better="higher", validate=validate)


def written_score(
    writer: keras.Model, corpus: EncodedCorpus, column: str, most: int, artifacts: CaptionArtifacts
) -> float:
    """Return CIDEr-D of what a model writes about images of a corpus, each group counting once.

    A group may have dozens of variants of one picture; chosen by their mean, an early epoch that
    says the same of all people would win.

    Args:
        writer: of `writer_of`.
        corpus: encoded images.
        column: what the writer reads.
        most: images, evenly drawn.
        artifacts: tell which words tokens stand for.
    """
    images = evenly_spaced(len(corpus.shared(column).values), most)
    found = written(writer, corpus, column, images)
    tokens = [row[0] for _, block, _ in found for row in block]
    judge = CiderD(references_of(corpus, column, images, artifacts))
    scores = judge.score([words_of(row, artifacts) for row in tokens])
    return float(np.average(scores, weights=shares_of(corpus, column, images)))


def shares_of(corpus: EncodedCorpus, column: str, images: np.ndarray) -> np.ndarray:
    """Return how much each of some images of a corpus counts, float32[N]."""
    places = np.asarray(corpus.shared(column).places)
    return corpus.column("share")[np.searchsorted(places, images, side="left")]


def column_of(names: Collection[str]) -> str:
    """Return what the decoder's maps come from: "image", or "features" where that is all."""
    return "image" if "image" in names else "features"


def references_of(
    corpus: EncodedCorpus, column: str, images: np.ndarray, artifacts: CaptionArtifacts
) -> list[list[list[str]]]:
    """Return the words of the captions of some images of a corpus."""
    captions, places = corpus.ragged("caption_out"), np.asarray(corpus.shared(column).places)
    rows = np.split(captions.values, np.cumsum(captions.lengths)[:-1])
    first = np.searchsorted(places, images, side="left")
    last = np.searchsorted(places, images, side="right")
    return [
        [words_of(tokens, artifacts) for tokens in rows[start:stop]]
        for start, stop in zip(first, last, strict=True)
    ]


def words_of(tokens: np.ndarray, artifacts: CaptionArtifacts) -> list[str]:
    """Return the words of a caption, int[T], as the report's scores cut them.

    Punctuation is no word: among tokens, colons and commas would count for as much.
    """
    names = [artifacts.vocabulary.tokens[token] for token in tokens if token >= len(RESERVED)]
    blank = " " if artifacts.settings["level"] == "word" else ""
    return tokens_of(blank.join(names).replace(WORD_START, " "))
