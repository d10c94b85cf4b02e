"""What `predict` does with an exported language model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.datasets.storage import storage_errors
from pipelines.errors import DataError
from pipelines.evaluation.language_evidence import ScoredText
from pipelines.evaluation.surprise import surprise_page
from pipelines.export.loading import load_served
from pipelines.language.predict_options import LanguageOptions
from pipelines.language.writing import prompt_of, write
from pipelines.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pipelines.export.serving import ServedModel


def predict(version: Path, options: LanguageOptions) -> int:
    """Write text, search for continuations, or weigh a file; return the exit code."""
    if not options.score:
        vocabulary = Vocabulary.load(version / "assets.extra" / "vocabulary.txt")
        return write(load_served(version), options, sys.stdout, vocabulary=vocabulary)
    text = prompt_of(options)
    if not text:
        raise DataError(
            f"{options.file}: the text is empty, so no character can be weighed; give a file with "
            "at least one character"
        )
    return _weigh(load_served(version), text, options)


def _weigh(model: ServedModel, text: str, options: LanguageOptions) -> int:
    """Print bits per character, and write the page that shows what surprised."""
    found = model.call({"text": [text]}, "score")
    tokens, bits = found["tokens"][0], found["bits"][0].astype(np.float64)
    per_character = float(bits.sum()) / len(text)
    path = options.html or _page_of(options)
    record: dict[str, Any] = {
        "file": options.file,
        "characters": len(text),
        "bits_per_character": float(f"{per_character:.6g}"),
        "bytes": len(text.encode("utf-8", "surrogatepass")),
        "bytes_needed": round(float(bits.sum()) / 8),
        "page": str(path) if path else None,
    }
    if path is not None:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            name = "standard input" if options.file == "-" else Path(str(options.file)).name
            # At level "byte" characters are shown in the place of their bytes.
            scored = ScoredText(0, name, text, tuple(map(str, tokens)), bits)
            surprise_page(path, name, *scored.shown(), characters=len(text))
    sys.stdout.write(json.dumps(record) + "\n" if options.json else _told(record))
    return 0


def _page_of(options: LanguageOptions) -> Path | None:
    """Return where the page goes: beside the file; nowhere for standard input."""
    if options.file == "-":
        return None
    file = Path(str(options.file))
    return file.with_name(file.name + ".score.html")


def _told(record: dict[str, Any]) -> str:
    share = record["bytes_needed"] / max(1, record["bytes"])
    lines = [
        f"{record['bits_per_character']:.3f} bits per character of {record['characters']:,}",
        f"{record['bytes']:,} bytes, which the model would store in {record['bytes_needed']:,} "
        f"({100 * share:.0f} %)",
    ]
    if record["page"]:
        lines.append(f"what surprised it: {record['page']}")
    return "\n".join(lines) + "\n"
