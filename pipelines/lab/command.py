"""`make memory-lab`."""

from __future__ import annotations

import os
import sys
import time

from rich.console import Console
from rich.table import Table

from pipelines.errors import ConfigError
from pipelines.evaluation.study_page import write_study
from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.page import longest_rows, study_of
from pipelines.lab.reading import Results, summary
from pipelines.lab.records import Journal
from pipelines.lab.running import run_lab
from pipelines.workspace import Folders, new_version

STUDY = "studies/memory-lab"


def memory_lab(options: MemoryLabOptions, folders: Folders | None = None) -> int:
    """Run the lab, write its page and print where each cell stops.

    Args:
        options: what to try.
        folders: the project's own by default.

    Raises:
        ConfigError: Keras does not run on TensorFlow.
        DataError: a folder cannot be written.
        KeyboardInterrupt: after Ctrl-C; finished runs are kept for --resume.
    """
    _require_tensorflow()
    folders, started = folders or Folders.default(), time.monotonic()
    console = Console(file=sys.stderr)
    journal = Journal(folders.cache / "memory-lab", options)
    with new_version(folders, STUDY) as folder:
        try:
            runs = run_lab(options, journal, console)
        except KeyboardInterrupt:
            kept = len(journal.runs())
            console.print(f"{kept} runs kept; --resume goes on from them", highlight=False)
            raise
        results = Results(options, runs)
        write_study(folder, **study_of(results, seconds=time.monotonic() - started))
    home = folders.saved_models / STUDY
    _show(results, home / (home / "latest").readlink() / "study.html")
    return 0


def _require_tensorflow() -> None:
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise ConfigError(
            f"memory-lab: KERAS_BACKEND is {backend!r}; its training step is compiled by "
            "TensorFlow, so it must be 'tensorflow' or not set"
        )


def _show(results: Results, page: object) -> None:
    table = Table(title="longest solved", title_justify="left")
    table.add_column("cell")
    for name in results.options.problems:
        table.add_column(name, justify="right")
    for row in longest_rows(results):
        table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(summary(results), highlight=False)
    console.print(f"\npage  {page}", highlight=False, soft_wrap=True)
