"""Names of layers that a reader knows again, from the paths of their weights."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NOISE = re.compile(r"^(functional|sequential|bidirectional|\w+_cell)(_\d+)?$")
_NUMBER = re.compile(r"_\d+$")
_CAPITALS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "crf": "CRF"}


def layer_path(path: str) -> str:
    """Return the path of a weight's layer; a recurrent cell's is its layer's.

    Such as "stack/bidirectional/forward_lstm" of "stack/bidirectional/forward_lstm/lstm_cell/bias".
    """
    parts = path.split("/")[:-1] or [path]
    while len(parts) > 1 and parts[-1].rstrip("0123456789_").endswith("_cell"):
        parts.pop()
    return "/".join(parts)


def readable_names(paths: Sequence[str]) -> list[str]:
    """Return a name in words for every layer path, all different.

    Keras' running numbers are dropped; layers of the same name are numbered from 1, in order.
    """
    plain = [_words(path) for path in paths]
    names, seen = [], dict.fromkeys(plain, 0)
    for name in plain:
        seen[name] += 1
        names.append(f"{name} {seen[name]}" if plain.count(name) > 1 else name)
    return names


def _words(path: str) -> str:
    parts = path.split("/")
    kept = [part for part in parts if not _NOISE.match(part)] or parts
    return " / ".join(_part(part) for part in kept)


def _part(part: str) -> str:
    words = _NUMBER.sub("", part).split("_")
    return " ".join(_CAPITALS.get(word, word) for word in words)
