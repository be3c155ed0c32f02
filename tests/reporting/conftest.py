"""The report of planted records that tests of the page share."""

from pathlib import Path

import pytest

from tests.support.reports import reported


@pytest.fixture(scope="session")
def tree(built, smoke) -> Path:
    """A project with four arms in three branches, built once for all test processes; copy it to change it."""
    return built(lambda folder, name: reported(smoke, folder), "three branches") / "project"
