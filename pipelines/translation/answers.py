"""How translations are shown: as records, and on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.text import Text


def answer_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one answer, or a list of them; hypotheses the search did not find are left out.

    Args:
        row: outputs of `serve` or of `n_best` for one text.
    """
    if "translations" not in row:
        return dict(row)
    found = zip(row["translations"], row["scores"], row["complete"], strict=True)
    return {
        "n_best": [
            {"translation": text, "score": score, "complete": whole}
            for text, score, whole in found
            if np.isfinite(score)
        ]
    }


def shown(answer: Mapping[str, Any], *, scores: bool) -> Text:
    """Show translations a line each, with scores where there are several or they are asked for."""
    answers = answer.get("n_best", [answer])
    text = Text()
    for one in answers:
        if len(answers) > 1 or scores:
            text.append(f"{one['score']:8.3f}  ", "cyan")
        text.append(one["translation"])
        text.append("" if one["complete"] else "  (cut at the longest length)", "yellow")
        text.append("\n")
    text.rstrip()
    return text
