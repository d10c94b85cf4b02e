"""One pass over raw text pairs: clean both sides, leave out by rule, remember only numbers."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator

import numpy as np

from pipelines.datasets.parallel_options import ParallelOptions, RawPair, TextPair
from pipelines.datasets.parallel_placement import SPLIT_CODES, PairNumbers
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.splits import duplicate_key
from pipelines.datasets.tag_scan import sequence_key
from pipelines.errors import DataError

SHORT_DIFFERENCE = 40  # characters by which any two translations may differ
LEFT_OUT = "pair(s) left out: "
_CONTROLS = re.compile("[\u0000-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\ufeff]")


def clean_side(text: str) -> str:
    """Return a text on one line: no control characters, one blank for any white space."""
    if not text.isprintable():
        text = _CONTROLS.sub(" ", text)
        # JSON can hold half a surrogate pair, which no file can hold.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join(text.split())


def reason_to_drop(source: str, target: str, options: ParallelOptions) -> str:
    """Say why a clean pair is no pair to learn from; "" if nothing speaks against it."""
    if source == target and not options.keep_identical:
        return "identical sides"
    short, long = sorted((len(source), len(target)))
    if long > options.max_length_ratio * short and long - short > SHORT_DIFFERENCE:
        return f"one side over {options.max_length_ratio:g} times as long as the other"
    return ""


class PairScan:
    """What one pass learns: of each kept pair its keys, document and split."""

    def __init__(self, options: ParallelOptions, remarks: Remarks) -> None:
        self.options, self.remarks = options, remarks
        self.dropped: dict[str, int] = {}
        self._documents: dict[str, int] = {"": 0}
        self._pairs, self._sources, self._targets = array("Q"), array("Q"), array("Q")
        self._document_codes, self._splits = array("i"), array("b")

    def pairs(
        self, streams: Iterable[Iterator[RawPair]], *, all_as: str | None = None
    ) -> Iterator[TextPair]:
        """Yield the pairs that are kept, noting their keys on the way.

        Args:
            streams: one a file.
            all_as: the split to put every pair in, whatever its file says.
        """
        for stream in streams:
            for raw in stream:
                split = all_as or raw.split
                source, target = clean_side(raw.source), clean_side(raw.target)
                reason = self._reason(raw, source, target, split)
                if reason:
                    self.dropped[reason] = self.dropped.get(reason, 0) + 1
                    self.remarks.add(LEFT_OUT + reason, raw.origin)
                else:
                    self._note(source, target, raw.document, split)
                    yield TextPair(source, target, raw.document, raw.origin)

    def _reason(self, raw: RawPair, source: str, target: str, split: str | None) -> str:
        if not source or not target:
            blank = not raw.source.strip() or not raw.target.strip()
            return "empty side" if blank else "side of control characters only"
        # Given valid and test pairs stay as they are, so that scores compare with published ones.
        if split in ("valid", "test"):
            return ""
        return reason_to_drop(source, target, self.options)

    def _note(self, source: str, target: str, document: str, split: str | None) -> None:
        seed, documents = self.options.seed, self._documents
        self._pairs.append(sequence_key((source, target), seed))
        self._sources.append(duplicate_key(source, seed))
        self._targets.append(duplicate_key(target, seed))
        self._document_codes.append(documents.setdefault(document, len(documents)))
        self._splits.append(SPLIT_CODES[split])

    def numbers(self) -> PairNumbers:
        """Return what the placement of the kept pairs depends on."""
        return PairNumbers(
            pairs=np.frombuffer(self._pairs, np.uint64),
            sources=np.frombuffer(self._sources, np.uint64),
            targets=np.frombuffer(self._targets, np.uint64),
            documents=np.frombuffer(self._document_codes, np.int32),
            document_names=tuple(self._documents),
            splits=np.frombuffer(self._splits, np.int8),
        )

    def require_pairs(self, source: str) -> None:
        """Refuse a source of which no pair is kept."""
        if not self._pairs:
            raise DataError(
                f"{source}: no pair of texts (left out: {self.dropped or 'none'}); expected texts "
                "with their translations; check the file, the languages, or --source-column and "
                "--target-column"
            )
