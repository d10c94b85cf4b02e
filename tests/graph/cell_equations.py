"""The published equations of every recurrent cell, one step of one row, in NumPy.

A cell is a function of its weights by name, the input and the state before; it gives the state
after, h first. Gates stand in kernels in Keras' order.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def simple(w, x, h):
    """Elman (1990)."""
    return (np.tanh(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"]),)


def gru(w, x, h):
    """Cho et al. (2014), the reset gate after the product and so with two biases."""
    xz, xr, xc = np.split(x @ w["kernel"] + w["bias"][0], 3)
    hz, hr, hc = np.split(h @ w["recurrent_kernel"] + w["bias"][1], 3)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    return (z * h + (1 - z) * np.tanh(xc + r * hc),)


def lstm(w, x, h, c):
    """Hochreiter & Schmidhuber (1997), with the forget gate of Gers et al. (2000).

    With peepholes: Gers, Schraudolph & Schmidhuber (2002); none is a peephole of weight 0.
    """
    i, f, candidate, o = np.split(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4)
    sees = w.get("peephole", np.zeros((3, len(h))))
    after = sigmoid(f + sees[1] * c) * c + sigmoid(i + sees[0] * c) * np.tanh(candidate)
    return sigmoid(o + sees[2] * after) * np.tanh(after), after


def deep(cell):
    """Pascanu et al. (2014): tanh layers after a cell; the last may read the old h, DT(S)."""

    def step(w, x, h, *rest):
        state, *after = cell(w, x, h, *rest)
        count = sum(name.startswith("transition_bias") for name in w)
        for n in range(count):
            read = state @ w[f"transition_{n}"] + w[f"transition_bias_{n}"]
            if n == count - 1 and "shortcut" in w:
                read = read + h @ w["shortcut"]
            state = np.tanh(read)
        return (state, *after)

    return step


def mingru(w, x, h):
    """Feng et al. (2024), sec. 3.1."""
    z, candidate = np.split(x @ w["kernel"] + w["bias"], 2)
    return ((1 - sigmoid(z)) * h + sigmoid(z) * candidate,)


def minlstm(w, x, h):
    """Feng et al. (2024), sec. 3.2."""
    f, i, candidate = np.split(x @ w["kernel"] + w["bias"], 3)
    f, i = sigmoid(f), sigmoid(i)
    return (f / (f + i) * h + i / (f + i) * candidate,)


def sru(w, x, h, c):
    """Lei et al. (2018), without c in the gates; a fourth block where widths differ."""
    f, r, candidate, *past = np.split(x @ w["kernel"], w["kernel"].shape[1] // len(c))
    bias_f, bias_r = np.split(w["bias"], 2)
    f, r = sigmoid(f + bias_f), sigmoid(r + bias_r)
    c = f * c + (1 - f) * candidate
    return r * np.tanh(c) + (1 - r) * (past[0] if past else x), c


PLAIN = {
    "simple": simple, "gru": gru, "lstm": lstm, "mingru": mingru, "minlstm": minlstm, "sru": sru,
}  # fmt: skip


def run(settings, weights, inputs, states):
    """Outputs [T, units] and the final state of one row read from a state."""
    cell = PLAIN[settings["cell"]]
    cell = deep(cell) if settings.get("deep_transition") else cell
    outputs = []
    for x in inputs:
        states = cell(weights, x, *states)
        outputs.append(states[0])
    return np.stack(outputs), states
