"""The recurrent network of a trained model in PyTorch and in ONNX Runtime, with its weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Request = dict[str, Any]
Answer = dict[str, np.ndarray]
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]

LSTM_IN_ONNX = (0, 3, 1, 2)  # i o f c, of Keras' i f c o
GRU_IN_TORCH = (1, 0, 2)  # r z n, of Keras' z r h


class Direction(NamedTuple):
    """Weights of a layer of one direction, as Keras has them."""

    kernel: np.ndarray
    recurrent: np.ndarray
    inputs_bias: np.ndarray
    state_bias: np.ndarray


class Network(NamedTuple):
    """What is compared: ids or vectors -> one recurrent layer -> states or scores.

    Attributes:
        kind: "lstm" or "gru".
        directions: forward, or forward and backward.
        table: vectors of ids, float32[V, D]; None if vectors are given.
        dense: kernel float32[H, C] and bias float32[C] on the states; None if these are the answer.
    """

    kind: str
    directions: tuple[Direction, ...]
    table: np.ndarray | None = None
    dense: tuple[np.ndarray, np.ndarray] | None = None


def network_of(stack: Any, *, table: Any = None, dense: Any = None) -> Network:
    """Read weights off a `RecurrentStack` of one LSTM or GRU layer.

    Args:
        stack: the stack.
        table: a variable, or None.
        dense: a Keras dense layer, or None.
    """
    from pipelines.layers.recurrent_state import parts_of

    (layer,) = stack._recurrences
    pair = None if dense is None else (_array(dense.kernel), _array(dense.bias))
    directions = tuple(_direction(part.cell) for part in parts_of(layer))
    table = None if table is None else _array(table)
    return Network(stack.settings["cell"], directions, table, pair)


def _direction(cell: Any) -> Direction:
    bias = _array(cell.bias)
    own, state = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    return Direction(_array(cell.kernel), _array(cell.recurrent_kernel), own, state)


def _array(weight: Any) -> np.ndarray:
    return np.asarray(weight, np.float32)


def _gates(weights: np.ndarray, order: tuple[int, ...] | None) -> np.ndarray:
    """Return weights [..., gates × units] as [gates × units, ...], gates in another order."""
    turned = weights.T
    if order is None:
        return np.ascontiguousarray(turned)
    parts = np.split(turned, len(order))
    return np.concatenate([parts[place] for place in order])


class TorchNetwork:
    """The network in PyTorch, eager, without gradients; rows of unequal length are packed."""

    name = "PyTorch"

    def __init__(self, network: Network) -> None:
        import torch

        torch.set_num_threads(os.cpu_count() or 1)
        self._torch = torch
        width, units = (
            network.directions[0].kernel.shape[0],
            network.directions[0].recurrent.shape[0],
        )
        kind = torch.nn.LSTM if network.kind == "lstm" else torch.nn.GRU
        self._layer = kind(
            width, units, batch_first=True, bidirectional=len(network.directions) > 1
        )
        order = None if network.kind == "lstm" else GRU_IN_TORCH
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        for weights, suffix in zip(network.directions, ("", "_reverse"), strict=False):
            for name, values in zip(names, weights, strict=True):
                parameter = getattr(self._layer, name + suffix)
                parameter.data.copy_(torch.from_numpy(_gates(values, order)))
        self._table = None if network.table is None else torch.from_numpy(network.table)
        self._dense = None
        if network.dense is not None:
            self._dense = [torch.from_numpy(_gates(values, None)) for values in network.dense]

    def __call__(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return states or scores, float32[B, T, C]."""
        torch, rnn = self._torch, self._torch.nn.utils.rnn
        with torch.inference_mode():
            given = torch.from_numpy(inputs)
            if self._table is not None:
                given = torch.nn.functional.embedding(given, self._table)
            if len(lengths) == 1 or (lengths == inputs.shape[1]).all():
                states, _ = self._layer(given[:, : int(lengths.max())])
            else:
                packed = rnn.pack_padded_sequence(
                    given, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
                )
                packed, _ = self._layer(packed)
                states, _ = rnn.pad_packed_sequence(packed, batch_first=True)
            if self._dense is not None:
                states = torch.nn.functional.linear(states, *self._dense)
            return np.asarray(states.numpy())


class OnnxNetwork:
    """The network as an ONNX graph of the fused LSTM or GRU operation, in ONNX Runtime."""

    name = "ONNX Runtime"

    def __init__(self, network: Network) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = _onnx_model(network).SerializeToString()
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return states or scores, float32[B, T, C]."""
        given = {"inputs": inputs, "lengths": lengths.astype(np.int32)}
        return np.asarray(self._session.run(None, given)[0])


def _onnx_model(network: Network) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    nodes, given, width = [], "inputs", network.directions[0].kernel.shape[0]
    if network.table is not None:
        nodes.append(helper.make_node("Gather", ["table", given], ["vectors"]))
        given = "vectors"
    both = len(network.directions) > 1
    options: dict[str, Any] = {"direction": "bidirectional" if both else "forward"}
    if network.kind == "gru":
        options["linear_before_reset"] = 1
    units = network.directions[0].recurrent.shape[0]
    nodes += [
        helper.make_node("Transpose", [given], ["in_time"], perm=[1, 0, 2]),
        helper.make_node(
            network.kind.upper(),
            ["in_time", "W", "R", "B", "lengths"],
            ["read"],
            hidden_size=units,
            **options,
        ),
        helper.make_node("Transpose", ["read"], ["by_row"], perm=[2, 0, 1, 3]),
        helper.make_node("Reshape", ["by_row", "shape"], ["states"]),
    ]
    answer = "states"
    if network.dense is not None:
        nodes.append(helper.make_node("MatMul", ["states", "kernel"], ["product"]))
        nodes.append(helper.make_node("Add", ["product", "bias"], ["scores"]))
        answer = "scores"
    ids = network.table is not None
    inputs = helper.make_tensor_value_info(
        "inputs",
        TensorProto.INT32 if ids else TensorProto.FLOAT,
        ["B", "T"] if ids else ["B", "T", width],
    )
    lengths = helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"])
    output = helper.make_tensor_value_info(answer, TensorProto.FLOAT, ["B", "T", None])
    graph = helper.make_graph(
        nodes,
        "network",
        [inputs, lengths],
        [output],
        [numpy_helper.from_array(values, name) for name, values in _onnx_weights(network).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def _onnx_weights(network: Network) -> dict[str, np.ndarray]:
    order = LSTM_IN_ONNX if network.kind == "lstm" else None
    parts = network.directions
    found = {
        "W": np.stack([_gates(part.kernel, order) for part in parts]),
        "R": np.stack([_gates(part.recurrent, order) for part in parts]),
        "B": np.stack(
            [
                np.concatenate(
                    [_gates(bias, order) for bias in (part.inputs_bias, part.state_bias)]
                )
                for part in parts
            ]
        ),
        "shape": np.array([0, 0, -1], np.int64),
    }
    if network.table is not None:
        found["table"] = network.table
    if network.dense is not None:
        found["kernel"], found["bias"] = network.dense
    return found


class Encoder:
    """The recurrent stack alone, on vectors as long as the task's rows are."""

    output = "states"

    def __init__(self, stack: Any, *, steps: int) -> None:
        import tensorflow as tf

        self.network: Network = network_of(stack)
        self._width = self.network.directions[0].kernel.shape[0]
        self._steps, self._stack = steps, stack
        signature = [
            tf.TensorSpec([None, None, self._width], tf.float32),
            tf.TensorSpec([None, None], tf.bool),
        ]
        self._read = tf.function(
            lambda inputs, mask: stack.run(inputs, mask)[0], signature, autograph=False
        )

    def request(self, rows: int) -> Request:
        """Draw inputs."""
        draw = np.random.default_rng(rows)
        vectors = draw.normal(size=(rows, self._steps, self._width)).astype(np.float32)
        return {"vectors": vectors, "lengths": np.full(rows, self._steps)}

    def ours(self, request: Request) -> Answer:
        """Answer as part of the exported graph does."""
        mask = np.arange(self._steps) < request["lengths"][:, None]
        return {self.output: self._read(request["vectors"], mask).numpy()}

    def answer(self, request: Request, run: Run) -> Answer:
        """Answer a request, the network being run by `run`."""
        return {self.output: run(request["vectors"], request["lengths"])}
