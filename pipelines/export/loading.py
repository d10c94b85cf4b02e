"""Load an exported model into this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.quiet import standard_error_held

if TYPE_CHECKING:
    from pipelines.export.serving import ServedModel


def load_served(version: Path) -> ServedModel:
    """Load an exported model, and with it TensorFlow, in silence."""
    from pipelines.export.serving import ServedModel

    with standard_error_held():
        return ServedModel(version)
