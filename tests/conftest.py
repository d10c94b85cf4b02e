"""Fixtures that need no TensorFlow; `tests/contract/conftest.py` has those that train."""

import gc
import importlib.util
import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.jax_process import JaxProcess

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Set before NumPy is imported: on busy cores threads of small products wait for each other, and
# a solution of 200 equations took a hundred times as long as without them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
logging.getLogger("tensorflow").setLevel(logging.ERROR)
# Graphs are many objects that live on: looking among them for garbage took a fifth of the time.
gc.set_threshold(50_000, 20, 50)

ROOT = Path(__file__).resolve().parent.parent

# A run of the tests is to be repeated by the next; `make fuzz` draws other examples every time.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25)
settings.register_profile("fuzz", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_finish():
    """Leave what was imported out of every look for garbage; Keras has one after each model."""
    gc.freeze()


@pytest.fixture(scope="session")
def root():
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def jax_process(root, tmp_path_factory):
    """Keras on JAX, started once for all tests that run a script under it."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax")
    process = JaxProcess(root, tmp_path_factory.mktemp("jax") / "log.txt")
    yield process
    process.close()
