"""Where small real runs keep what they make."""

import pytest

from pipelines.workspace import Folders


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Data fetched once and kept; everything else is gone with the test."""
    return Folders(
        raw=Folders.default().raw,
        cache=tmp_path_factory.mktemp("cache"),
        saved_models=tmp_path_factory.mktemp("models"),
    )
