"""The careful PyTorch way to train on text: batches of similar length, packed sequences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from epoch_cases import CLIP_NORM, System, Text, compared_rows, without_dropout
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

NAME = "PyTorch, bucketed and packed"


def packed(text: Text) -> System:
    """Train on the batches of ours, padded to the longest row of each."""
    columns = [_tensors(text.column(name)) for name in text.batches.inputs]
    columns.append(_tensors(text.targets()))
    trainer, epochs = _Trainer(text, text.task.config, columns), itertools.count()

    def epoch() -> None:
        for rows in text.batches.epoch(next(epochs)).rows:
            trainer.step(rows)

    def losses(steps: int) -> list[float]:
        plain = _Trainer(text, without_dropout(text), columns)
        return [plain.step(compared_rows(text)) for _ in range(steps)]

    return System(NAME, epoch, losses)


def _tensors(rows: list[np.ndarray]) -> list[Tensor]:
    return [torch.tensor(row) for row in rows]


class _Trainer:
    """A network with our weights, its optimizer and its batches."""

    def __init__(self, text: Text, config: Any, columns: list[list[Tensor]]) -> None:
        *self._inputs, self._targets = columns
        self._padding = text.padding if text.aligned else None
        kind = _Writer if "recurrence" in text.weights else _Labeller
        self._network = kind(text, config)
        # Ours decays no weight by default: AdamW would multiply each by 1.
        self._optimizer = torch.optim.Adam(self._network.parameters(), config.learning_rate)
        self._steps = 0

    def step(self, rows: np.ndarray) -> float:
        """Learn from the given rows; return their loss."""
        inputs = [[column[row] for row in rows] for column in self._inputs]
        targets = [self._targets[row] for row in rows]
        lengths = [torch.tensor([len(row) for row in column]) for column in inputs]
        padded = [pad_sequence(column, batch_first=True) for column in inputs]
        self._optimizer.zero_grad()
        logits = self._network(*itertools.chain(*zip(padded, lengths, strict=True)))
        loss = self._loss(logits, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), CLIP_NORM)
        self._steps += 1
        # Keras adds epsilon before it corrects the moments.
        self._optimizer.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**self._steps) ** 0.5
        self._optimizer.step()
        return loss.item()

    def _loss(self, logits: Tensor, targets: list[Tensor]) -> Tensor:
        if self._padding is None:
            return cross_entropy(logits, torch.stack(targets))
        wanted = pad_sequence(targets, batch_first=True, padding_value=self._padding)
        return cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=self._padding)


class _Reader(nn.Module):
    """Embedding, dropout and a bidirectional LSTM over packed rows."""

    def __init__(self, text: Text, config: Any) -> None:
        super().__init__()
        table = text.weights["embedding"][0]
        self._shared, self._each = config.variational_dropout, nn.Dropout(config.input_dropout)
        self.embedding = nn.Embedding(*table.shape)  # its gradient is dense, as by default
        self.encoder = nn.LSTM(table.shape[1], config.units, batch_first=True, bidirectional=True)
        _set(self.embedding, table)
        _set_lstm(self.encoder, text.weights["encoder"])

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return states [B, T, 2H], 0 on padding, and h of both directions [B, 2H]."""
        vectors = self.embedding(tokens)
        if self._shared:
            kept = torch.ones_like(vectors[:, :1])
            vectors = vectors * nn.functional.dropout(kept, self._shared)
        states, (final, _) = _run(self.encoder, self._each(vectors), lengths)
        return states, torch.cat([final[0], final[1]], dim=-1)


class _Labeller(nn.Module):
    """A classifier that pools as ours, or a tagger: tokens to logits."""

    def __init__(self, text: Text, config: Any) -> None:
        super().__init__()
        self._pools = not text.aligned
        kernel, bias = text.weights["output"]
        self._read, self._dropout = _Reader(text, config), nn.Dropout(config.output_dropout)
        self._output = nn.Linear(*kernel.shape)
        _set(self._output, kernel.T, bias)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Return logits, [B, C] or [B, T, C]."""
        states, _ = self._read(tokens, lengths)
        if self._pools:
            largest = states.masked_fill(tokens[..., None] == 0, -1e4).amax(dim=1)
            states = torch.cat([largest, states.sum(dim=1) / lengths[:, None]], dim=-1)
        return self._output(self._dropout(states))


class _Writer(nn.Module):
    """An encoder and a decoder with dot-product attention: both sides' tokens to logits."""

    def __init__(self, text: Text, config: Any) -> None:
        super().__init__()
        self._read = _Reader(text, config)
        table, units = text.weights["target_embedding"][0], config.decoder_units
        self._inner, self._outer = (
            nn.Dropout(config.input_dropout),
            nn.Dropout(config.output_dropout),
        )
        self._embedding = nn.Embedding(*table.shape)
        self._recurrence = nn.LSTM(table.shape[1], units, batch_first=True)
        self._first = nn.ModuleList([_linear(*text.weights[f"state_{name}"]) for name in "hc"])
        self._query, self._key, self._combine = (
            _linear(*text.weights[name]) for name in ("query", "key", "combine")
        )
        self._output = _linear(*text.weights["output"], *text.weights["output_bias"])
        _set(self._embedding, table)
        _set_lstm(self._recurrence, text.weights["recurrence"])

    def forward(
        self, source: Tensor, source_lengths: Tensor, target: Tensor, target_lengths: Tensor
    ) -> Tensor:
        """Return logits of every next token, [B, T, V]."""
        states, summary = self._read(source, source_lengths)
        memory = self._outer(states)
        first = tuple(torch.tanh(layer(summary))[None] for layer in self._first)
        vectors = self._inner(self._embedding(target))
        hidden, _ = _run(self._recurrence, vectors, target_lengths, first)
        queries = self._query(hidden) * hidden.shape[-1] ** -0.5
        scores = queries @ self._key(memory).transpose(1, 2)
        weights = scores.masked_fill(source[:, None] == 0, -torch.inf).softmax(dim=-1)
        features = torch.tanh(self._combine(torch.cat([weights @ memory, hidden], dim=-1)))
        return self._output(self._outer(features))


def _run(lstm: nn.LSTM, vectors: Tensor, lengths: Tensor, first: Any = None) -> tuple[Tensor, Any]:
    """Read packed rows; return padded states and the final state."""
    rows = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
    states, final = lstm(rows, first)
    return pad_packed_sequence(states, batch_first=True)[0], final


def _linear(kernel: np.ndarray, bias: np.ndarray | None = None) -> nn.Linear:
    layer = nn.Linear(*kernel.shape, bias=bias is not None)
    return _set(layer, kernel.T, *([] if bias is None else [bias]))


def _set(layer: nn.Module, *values: np.ndarray) -> Any:
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    return layer


def _set_lstm(lstm: nn.LSTM, values: list[np.ndarray]) -> None:
    """Set the weights of Keras' LSTM: gates in the same order, one bias where PyTorch adds two."""
    for start in range(0, len(values), 3):
        kernel, recurrent, bias = values[start : start + 3]
        suffix = "_reverse" if start else ""
        given = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias}
        for name, value in given.items():
            getattr(lstm, f"{name}_l0{suffix}").data = torch.tensor(value)
        second = getattr(lstm, f"bias_hh_l0{suffix}")
        second.data.zero_()
        second.requires_grad_(False)
