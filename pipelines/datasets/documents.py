"""Running text from any source: decoded, counted, split by document, and cached on disk."""

from __future__ import annotations

from pipelines.datasets.document_options import PASSAGE, Document, DocumentOptions
from pipelines.datasets.package_index import Progress
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders

__all__ = [
    "PASSAGE",
    "Document",
    "DocumentOptions",
    "load_documents",
    "load_documents_to_score",
    "without_known_documents",
]


def load_documents(
    source: str,
    options: DocumentOptions | None = None,
    *,
    folders: DataFolders | None = None,
    progress: Progress | None = None,
) -> Splits[Document]:
    """Read, decode, split and cache documents."""
    raise NotImplementedError


def load_documents_to_score(
    source: str, options: DocumentOptions | None = None, *, folders: DataFolders | None = None
) -> Splits[Document]:
    """Read documents without splitting them: all are the test split, each text once."""
    raise NotImplementedError


def without_known_documents(
    rows: Splits[Document], training: Splits[Document]
) -> Splits[Document]:
    """Leave out documents to score that stand in the train or valid documents."""
    raise NotImplementedError
