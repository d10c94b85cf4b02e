"""What `predict` shows of a language model that writes: a text as it comes, or continuations."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.errors import DataError
from pipelines.language.predict_options import LanguageOptions
from pipelines.text.vocabulary import RESERVED, Vocabulary

if TYPE_CHECKING:
    from pipelines.export.serving import ServedModel

FIRST_BLOCK, LARGEST_BLOCK = 1, 40  # tokens of a request: soon something, then few requests
INTERRUPTED = 130  # exit code after Ctrl-C
SHOWN = 8  # unseen characters that a warning names

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
# A terminal obeys control characters; a text may hold any.
_HARMLESS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_HARMLESS |= {127: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def write(
    model: ServedModel, options: LanguageOptions, out: TextIO, *, vocabulary: Vocabulary
) -> int:
    """Do what the options ask of a model that writes; returns the exit code."""
    prompt = prompt_of(options)
    warning = unseen_warning(prompt, vocabulary)
    if warning:
        sys.stderr.write(f"warning: {warning}\n")
    if options.complete:
        return write_completions(model, options, prompt, out)
    if options.json:
        return write_json(model, options, prompt, out)
    return write_stream(model, options, prompt, out)


def prompt_of(options: LanguageOptions) -> str:
    """Return the prompt as it is, from --text or --file.

    Raises:
        DataError: the file cannot be read, or is no UTF-8.
    """
    if options.file is None:
        return options.text or ""
    if options.file == "-":
        sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        return sys.stdin.read()
    try:
        with Path(options.file).open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise DataError(
            f"{options.file}: cannot be read: {error.strerror}; give a text file, or - for "
            "standard input"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{options.file}: byte {error.start} ({error.object[error.start]:#04x}) is no UTF-8, "
            "which a prompt must be; save the file as UTF-8"
        ) from error


def unseen_warning(prompt: str, vocabulary: Vocabulary) -> str:
    """Name the characters of a prompt that the model does not know; "" if it knows all."""
    if vocabulary == Vocabulary.of_bytes():
        return ""
    known = set("".join(vocabulary.tokens[len(RESERVED) :]))
    unseen = sorted(set(prompt) - known)
    if not unseen:
        return ""
    named = ", ".join(f"{one!r} (U+{ord(one):04X})" for one in unseen[:SHOWN])
    more = f" and {len(unseen) - SHOWN} more" if len(unseen) > SHOWN else ""
    return (
        f"the model has not seen {len(unseen)} of the prompt's characters: {named}{more}; it reads "
        "each as <unk>, one and the same unknown character, and writes on from that"
    )


class StopSearch:
    """Passes a text on as it comes, up to the first of some stop strings.

    What may be the start of one is held back until it is known.

    Args:
        stops: texts of at least one character.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """Return what may be shown, now that so much more is known."""
        if self.found:
            return ""
        text = self._held + text
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        # A longer stop string that began earlier may still be coming.
        open_from = self._open_from(text)
        if places and min(places) <= open_from:
            self.found, self._held = True, ""
            return text[: min(places)]
        self._held = text[open_from:]
        return text[:open_from]

    def rest(self) -> str:
        """Return what was held back, at the end of the text."""
        text, self._held = self._held, ""
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        self.found = self.found or bool(places)
        return text[: min(places)] if places else text

    def _open_from(self, text: str) -> int:
        """Return the first place from which the rest is the start of a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for place in range(max(len(text) - longest, 0), len(text)):
            if any(stop.startswith(text[place:]) for stop in self._stops):
                return place
        return len(text)


def write_stream(model: ServedModel, options: LanguageOptions, prompt: str, out: TextIO) -> int:
    """Print texts as they are written, one after the other, each behind the prompt.

    Ctrl-C ends it with what was written.

    Returns:
        the exit code: 0, or 130 if interrupted.
    """
    terminal = out.isatty()
    try:
        state = model.call({"prompt": [prompt]}, "begin")["state"][0]
        for number in range(options.samples):
            seed = options.seed + number
            if options.samples > 1:
                gap = "\n" if number else ""
                out.write(f"{gap}sample {number + 1} of {options.samples}, seed {seed}:\n")
            start = _shown(prompt, terminal)
            out.write(f"{_BOLD}{start}{_PLAIN}" if terminal and start else start)
            out.flush()
            for text in _blocks(model, state, options, seed):
                out.write(_shown(text, terminal))
                out.flush()
            out.write("\n")
    except KeyboardInterrupt:
        out.write("\n")
        return INTERRUPTED
    finally:
        out.flush()
    return 0


def _shown(text: str, terminal: bool) -> str:
    return text.translate(_HARMLESS) if terminal else text


def _blocks(model: ServedModel, state: Any, options: LanguageOptions, seed: int) -> Iterator[str]:
    """Yield a text in blocks, until it is long enough, ends by itself or a stop string comes."""
    search, position, size, ended = StopSearch(options.stop), 0, FIRST_BLOCK, False
    while position < options.tokens and not (ended or search.found):
        length = min(size, options.tokens - position)
        request = _choices(options, [seed], length) | {"state": [state], "position": [position]}
        answer = model.call(request, "write_on")
        position, state = position + int(answer["tokens"][0]), answer["state"][0]
        ended, size = bool(answer["complete"][0]), min(2 * size, LARGEST_BLOCK)
        yield search.feed(str(answer["text"][0]))
    yield search.rest()


def _choices(options: LanguageOptions, seeds: list[int], length: int) -> dict[str, list[Any]]:
    """Return the inputs of `generate` beside the prompt, a row for every seed."""
    row = {
        "length": length,
        "temperature": options.temperature,
        "top_k": min(options.top_k, 2**31 - 1),
        "top_p": options.top_p,
        "repetition_penalty": options.repetition_penalty,
    }
    return {name: [value] * len(seeds) for name, value in row.items()} | {"seed": seeds}


def write_json(model: ServedModel, options: LanguageOptions, prompt: str, out: TextIO) -> int:
    """Print all texts as JSON, written side by side."""
    seeds = [options.seed + number for number in range(options.samples)]
    request = _choices(options, seeds, options.tokens) | {"prompt": [prompt] * len(seeds)}
    answer = model.call(request, "generate")
    samples = []
    for number, seed in enumerate(seeds):
        search = StopSearch(options.stop)
        text = search.feed(str(answer["text"][number])) + search.rest()
        complete = bool(answer["complete"][number]) and not search.found
        samples.append({"seed": seed, "text": text, "complete": complete, "stopped": search.found})
    return _print_json({"prompt": prompt, "samples": samples}, out)


def write_completions(
    model: ServedModel, options: LanguageOptions, prompt: str, out: TextIO
) -> int:
    """Print the likeliest continuations, each on a line with its probability."""
    request: dict[str, list[Any]] = {"prompt": [prompt], "length": [options.tokens]}
    answer = {name: values[0] for name, values in model.call(request, "complete").items()}
    found = [
        {"text": str(text), "log_probability": float(value), "complete": bool(ends)}
        for text, value, ends in zip(
            answer["texts"], answer["log_probability"], answer["complete"], strict=True
        )
        if math.isfinite(value)
    ][: options.complete]
    if options.json:
        return _print_json({"prompt": prompt, "completions": found}, out)
    for one in found:
        text = json.dumps(one["text"], ensure_ascii=False)[1:-1]
        end = "  (the text ends)" if one["complete"] else ""
        out.write(f"{_share(one['log_probability'])}  {text}{end}\n")
    return 0


def _share(log_probability: Any) -> str:
    return f"{100 * math.exp(log_probability):8.4f}%"


def _print_json(record: dict[str, Any], out: TextIO) -> int:
    out.write(json.dumps(record, ensure_ascii=False) + "\n")
    return 0
