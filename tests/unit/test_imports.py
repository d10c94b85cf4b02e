"""What is answered or read before training needs no TensorFlow, which takes seconds to import."""

import subprocess
import sys

NAMED = [
    "pipelines.language.evidence", "pipelines.language.predict_options",
    "pipelines.language.writing", "pipelines.series.artifacts",
    "pipelines.series.predict_options", "pipelines.translation.word_alignment",
    "tasks.captioning", "pipelines.captioning.predicting",
]  # fmt: skip
SCRIPT = """
import importlib, sys

for name in sys.argv[1:]:
    importlib.import_module(name)
    found = sorted({"tensorflow", "keras"} & set(sys.modules))
    if found:
        sys.exit(f"{name} imports {found}")
"""


def test_data_measures_and_options_import_no_tensorflow(root):
    """In one process: the first module that brings TensorFlow in is named."""
    files = [
        path
        for package in ("datasets", "evaluation")
        for path in sorted((root / "pipelines" / package).glob("*.py"))
    ]
    assert len(files) > 50
    names = [f"pipelines.{path.parent.name}.{path.stem}" for path in files]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *names, *NAMED], capture_output=True, text=True, cwd=root
    )
    assert (done.returncode, done.stderr) == (0, "")
