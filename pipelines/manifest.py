"""What made a model: settings, data, versions, machine. Written beside every export."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from pipelines.config import RunConfig

_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "pandas", "pyarrow", "tokenizers")


def make_manifest(
    task: str, config: RunConfig, *, data: Mapping[str, Any], artifacts: Mapping[str, Any]
) -> dict[str, Any]:
    """Gather what is needed to make the same model again, or to doubt it."""
    return {
        "task": task,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).parent.name, *sys.argv[1:]]).strip(),
        "config": asdict(config),
        "seed": config.seed,
        "data": dict(data),
        "artifacts": dict(artifacts),
        "git_commit": git_commit(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "hardware": hardware(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Return the commit of the code, with "+" when files differ from it; None outside git."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", *arguments], cwd=here, check=True, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()


def hardware() -> dict[str, Any]:
    """Return processor name, usable cores and memory in GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
