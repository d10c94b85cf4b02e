"""What a careful person would look at in running text before training on it."""

from __future__ import annotations

from pipelines.datasets.document_options import Document
from pipelines.datasets.findings import Finding
from pipelines.datasets.splits import Splits


def check_documents(splits: Splits[Document]) -> list[Finding]:
    """Look at sizes, characters, lines, repeats between splits and odd files."""
    raise NotImplementedError
