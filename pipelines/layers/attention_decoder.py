"""A recurrent decoder that attends to a memory, in `keras.layers` and `keras.ops` only."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.attentional_state import AttentionalState, unevenness
from pipelines.layers.decoder_settings import (
    DecoderAttention,
    DecoderOrder,
    DecoderStart,
    Sampling,
    check_settings,
    loops,
    require_summary,
)
from pipelines.layers.decoder_state import DecoderStack, Prepared, State, widened
from pipelines.layers.decoder_steps import DecoderSteps
from pipelines.layers.decoding.types import StepOutput
from pipelines.layers.noise import WordDropout
from pipelines.layers.scheduled_sampling import replace_by_own
from pipelines.layers.token_output import TokenOutput
from pipelines.text.vocabulary import PAD


@keras.saving.register_keras_serializable(package="pipelines")
class AttentionDecoder(keras.layers.Layer):
    """Writes tokens, one after another, about a memory.

        outputs = decoder(tokens, memory, mask, summary)        teacher forcing, all steps at once
        prepared = decoder.prepare(memory, mask, summary)       writing: once a request,
        state = decoder.start(summary)                          once a row,
        output = decoder.step(tokens, state, prepared)          once a step

    With e_t the vector of token t, s the summary, M the memory:

    - attention (Luong et al., 2015): h_t = recurrence(e_t, h_{t-1}), c_t = attention(h_t, M),
      a_t = tanh(W [c_t; h_t]), as wide as a token's vector.
    - input feeding (ibid., sec. 3.3): h_t = recurrence([e_t; a_{t-1}], h_{t-1}). Training is then a
      loop over steps.
    - the order of Bahdanau et al. (2015): c_t = attention(h_{t-1}, M), with h of the top layer,
      h_t = recurrence([e_t; c_t], h_{t-1}), and a_t as above. A loop likewise.
    - "none", the context-vector mode (Cho et al., 2014; Sutskever et al., 2014): c_t = s, and
      h_t = recurrence([e_t; s], h_{t-1}). Without a summary, a language model: a_t = tanh(W h_t).

    h_0 is a dense layer with tanh of s, or 0 without a summary. Or s is the first input (Vinyals et
    al., 2015, equations 10-12): h_0 = recurrence(W s + b, 0), and s is not read again. The logits
    of token t + 1 are E (P a_t) + b: P projects to the width of token vectors where a_t has
    another; E is the matrix of token vectors (Press & Wolf, 2017) or one of its own.

    Args:
        vocabulary_size: V.
        embedding_size: dimensions of a token's vector.
        stack: settings of the `RecurrentStack`; its direction is left aside, `fast` is heeded
            without input feeding.
        attention: "dot" or "additive", see `Attention`, or "none".
        attention_units: width of projected queries and keys; 0 is the stack's units.
        history: whether attention knows what it looked at before (see `AttentionHistory`); not
            where steps loop, as the recurrence is then told.
        lexical: add the vectors of the tokens looked at to a_t.
        input_feeding: read what was attended to one step earlier.
        order: whether the recurrence runs before attention, "luong", or reads what it finds.
        start: what h_0 is: "bridge" or "input", as above.
        gate: scale c_t by a learned share (see `AttentionalState`).
        doubly_stochastic: weight of `unevenness` of the attention of a batch in the training loss.
        tied: the output matrix is that of the token vectors.
        word_dropout: share of tokens read as unknown in training.
        embedding_dropout: share of vector values dropped in training.
        attention_dropout: share of attention weights dropped in training.
        output_dropout: share of values of a_t dropped before the logits in training.
        scheduled_sampling: share of true tokens replaced by the model's own in training; the weight
            `sampling_share`, which starts there, may be assigned while training.
        sampling: whether the model's own token is the likeliest or one drawn.
        seed: of weights and dropouts made here.

    Raises:
        ConfigError: a setting is unknown, out of range or in want of attention.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        embedding_size: int,
        stack: dict[str, Any],
        attention: DecoderAttention = "dot",
        attention_units: int = 0,
        history: bool = False,
        lexical: bool = False,
        input_feeding: bool = False,
        order: DecoderOrder = "luong",
        start: DecoderStart = "bridge",
        gate: bool = False,
        doubly_stochastic: float = 0.0,
        tied: bool = True,
        word_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        output_dropout: float = 0.0,
        scheduled_sampling: float = 0.0,
        sampling: Sampling = "argmax",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "vocabulary_size": vocabulary_size, "embedding_size": embedding_size,
            "stack": dict(stack), "attention": attention, "attention_units": attention_units,
            "history": history, "lexical": lexical, "input_feeding": input_feeding, "tied": tied,
            "order": order, "start": start, "gate": gate, "doubly_stochastic": doubly_stochastic,
            "word_dropout": word_dropout, "embedding_dropout": embedding_dropout,
            "attention_dropout": attention_dropout, "output_dropout": output_dropout,
            "scheduled_sampling": scheduled_sampling, "sampling": sampling, "seed": seed,
        }  # fmt: skip
        check_settings(self.name, self.settings)
        self._stack = DecoderStack.of(stack)
        self._make_input()
        self._make_output()

    def _make_input(self) -> None:
        """Make what reads tokens and memory."""
        settings, seed = self.settings, self.settings["seed"]
        size = settings["embedding_size"]
        self.embedding = keras.layers.ReversibleEmbedding(
            settings["vocabulary_size"],
            size,
            tie_weights=settings["tied"],
            embeddings_initializer=keras.initializers.RandomNormal(stddev=size**-0.5, seed=seed),
            reverse_dtype="float32",
            name="embedding",
        )
        self._word_dropout = WordDropout(settings["word_dropout"], seed=seed)
        self._embedding_dropout = keras.layers.Dropout(settings["embedding_dropout"], seed=seed)
        self._bridge = self._stack.bridge(seed)
        self._reads_summary = settings["start"] == "input"
        if self._reads_summary:
            initial = keras.initializers.GlorotUniform(None if seed is None else seed * 1000 + 21)
            self._first_input = keras.layers.Dense(
                size, kernel_initializer=initial, name="first_input"
            )
        order, feeds = settings["order"], settings["input_feeding"]
        self._look = AttentionalState(
            settings["attention"],
            size=size,
            units=settings["attention_units"] or self._stack.width,
            dropout=settings["attention_dropout"],
            history=settings["history"] and not loops(order, feeds),
            gate=settings["gate"],
            seed=seed,
            name="look",
        )
        self._steps = DecoderSteps(self._stack, self._look, order, feeds)

    def _make_output(self) -> None:
        """Make what turns states into logits."""
        dropout, lexical, seed = (self.settings[n] for n in ("output_dropout", "lexical", "seed"))
        self.output_layer = TokenOutput(
            self.embedding, dropout=dropout, lexical=lexical, seed=seed, name="output"
        )
        self._own_tokens = keras.random.SeedGenerator(seed)

    def build(
        self,
        tokens_shape: tuple[Any, ...],
        memory_shape: Any = None,
        mask_shape: Any = None,
        summary_shape: Any = None,
        vectors_shape: Any = None,
    ) -> None:
        """Create the weights."""
        del mask_shape, vectors_shape
        settings, size = self.settings, self.settings["embedding_size"]
        read = size if settings["input_feeding"] else 0
        if settings["order"] == "bahdanau":
            read = memory_shape[-1]
        if self._reads_summary:
            require_summary(self.name, summary_shape)
            self._first_input.build(summary_shape)
            summary_shape = None
        if settings["attention"] == "none" and summary_shape is not None:
            read = summary_shape[-1]
        self.embedding.build(tokens_shape)
        self._stack.build((None, None, size + read))
        if summary_shape is not None:
            self._bridge.build(summary_shape)
        self._look.build((None, None, self._stack.width), memory_shape, summary_shape)
        self.output_layer.build()
        if settings["scheduled_sampling"]:
            share = keras.initializers.Constant(settings["scheduled_sampling"])
            self.sampling_share = self.add_weight((), share, trainable=False, name="sampling_share")
        self.built = True

    def call(
        self,
        tokens: Any,
        memory: Any = None,
        mask: Any = None,
        summary: Any = None,
        vectors: Any = None,
        *,
        training: bool = False,
    ) -> dict[str, Any]:
        """Score every next token, given the true ones before it.

        Args:
            tokens: BOS and the tokens, padded with 0, int32[B, T].
            memory: what is attended to, float[B, S, D]; None without attention.
            mask: bool[B, S], True on what is real; None is all of it.
            summary: float[B, D'], such as an encoder's final states; None starts from 0 (not with
                start="input").
            vectors: of the memory's tokens, float[B, S, E], for a lexical decoder.
            training: whether dropout, scheduled sampling and penalties act. Of a penalty, steps
                that read PAD are no part.

        Returns:
            "logits" float32[B, T, V] and, with attention, its weights "attention" float32[B, T, S].
        """
        prepared, rows = self.prepare(memory, mask, summary, vectors), ops.shape(tokens)[0]
        if training and self.settings["scheduled_sampling"]:
            tokens = self._partly_own(tokens, prepared, self._first(summary, rows))
        outputs = self._read(tokens, prepared, self._first(summary, rows, training), training)
        if training and self.settings["doubly_stochastic"]:
            missed = unevenness(outputs["attention"], ops.not_equal(tokens, PAD), mask)
            self.add_loss(self.settings["doubly_stochastic"] * missed)
        return outputs

    def prepare(
        self, memory: Any = None, mask: Any = None, summary: Any = None, vectors: Any = None
    ) -> Prepared:
        """Return what all steps share; arguments as of `call`."""
        if self._look.attention is None:
            return Prepared(summary=None if self._reads_summary else summary)
        return Prepared(memory, mask, self._look.attention.prepare(memory), vectors=vectors)

    def start(self, summary: Any = None, rows: Any = None, memory: Any = None) -> State:
        """Return the state before the first token, of leaves [B, 1, ...].

        Args:
            summary: as of `call`.
            rows: B, where there is no summary to tell it.
            memory: as of `call`; needed with a history of attention.

        Raises:
            ConfigError: memory or the summary is needed and absent.
        """
        return widened(self._first(summary, rows)) | self._look.start(memory)

    def step(self, tokens: Any, state: State, prepared: Prepared) -> StepOutput:
        """Score the token after the given ones: T steps equal `call` over T tokens.

        Args:
            tokens: the last token of every hypothesis, int32[B, K].
            state: what `start` or the step before returned, of leaves [B, K, ...].
            prepared: what `prepare` returned; all K hypotheses of a row share it.
        """
        features, weights, new = self._steps.step(self.embedding(tokens), state, prepared)
        logits = self.output_layer(features, weights, prepared.vectors)
        return StepOutput(logits, new, weights)

    def _first(self, summary: Any, rows: Any, training: bool = False) -> State:
        """Return the state before the first token, of leaves [B, ...]."""
        if self._reads_summary:
            require_summary(self.name, summary)
            stack = self._stack.begin(self._first_input(summary), training)
        else:
            stack = self._stack.zero_state(rows) if summary is None else self._bridge(summary)
        return self._steps.first(stack)

    def _read(self, tokens: Any, prepared: Prepared, start: State, training: bool) -> Any:
        """Return what `call` does, from a state of leaves [B, ...]."""
        vectors = self.embedding(self._word_dropout(tokens, training=training))
        vectors = self._embedding_dropout(vectors, training=training)
        features, weights = self._steps.run(vectors, start, prepared, training)
        logits = self.output_layer(features, weights, prepared.vectors, training=training)
        return {"logits": logits} | ({} if weights is None else {"attention": weights})

    def _partly_own(self, tokens: Any, prepared: Prepared, start: State) -> Any:
        logits = ops.stop_gradient(self._read(tokens, prepared, start, False)["logits"])
        share, how = ops.convert_to_tensor(self.sampling_share), self.settings["sampling"]
        return replace_by_own(tokens, logits, share, how=how, seed=self._own_tokens)

    def compute_output_spec(
        self, tokens: Any, memory: Any = None, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Return [B, T, V] and, with attention, [B, T, S]."""
        widths = {"logits": self.settings["vocabulary_size"]}
        if self._look.attention is not None:
            widths["attention"] = memory.shape[1]
        return {
            name: keras.KerasTensor((*tokens.shape, width), dtype="float32")
            for name, width in widths.items()
        }

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings
