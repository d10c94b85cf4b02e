"""Picture files that a user asks for: which can be written, and how they appear."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import ConfigError

PICTURES = (".png", ".svg", ".pdf")


def require_picture(path: Path, *, option: str, example: str) -> None:
    """Check that a picture can be written to a path, before anything is computed.

    Args:
        path: of the picture; its ending chooses the format.
        option: that the user gave it by.
        example: name of a picture that would do.

    Raises:
        ConfigError: the path has no known ending, or its folder does not exist.
    """
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(
            f"option {option}: {str(path)!r} ends with {path.suffix!r}; expected one of "
            f"{', '.join(PICTURES)}: name the picture {example}, for instance"
        )
    if not path.parent.is_dir():
        raise ConfigError(
            f"option {option}: there is no folder {str(path.parent)!r} to write {path.name!r} to; "
            "make it, or name another"
        )


def picture_format(path: Path) -> str:
    """Return the format that the ending of a path asks for: "png", "svg" or "pdf"."""
    return path.suffix[1:].lower()


def write_picture(path: Path, picture: bytes) -> None:
    """Write a picture; it appears under its name once complete."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(picture)
    partial.replace(path)
