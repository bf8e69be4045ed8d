"""One compiled model for all tests of callbacks: tracing its step takes most of their time."""

import pytest

from tests.callbacks import runs


@pytest.fixture(scope="session")
def shared():
    return runs.make_model()


@pytest.fixture
def model(shared):
    runs.start(shared)
    return shared
