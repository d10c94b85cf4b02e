"""Fixtures that need no TensorFlow; `tests/contract/conftest.py` has those that train."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.getLogger("tensorflow").setLevel(logging.ERROR)

ROOT = Path(__file__).resolve().parent.parent

# A run of the tests is to be repeated by the next; `make fuzz` draws other examples every time.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
settings.register_profile("fuzz", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def root():
    """The checkout."""
    return ROOT
