"""A server by script, and clients of it that are closed at the end."""

import pytest

from al_framework.api.http import HttpClient, Timeouts
from al_framework.testing import FaultServer


@pytest.fixture
def server():
    with FaultServer() as started:
        yield started


@pytest.fixture
def make():
    """The factory of clients."""
    made = []

    def build(**options):
        made.append(HttpClient(**options))
        return made[-1]

    yield build
    for client in made:
        client.close()


@pytest.fixture
def client(make):
    return make(timeouts=Timeouts(read_s=5, total_s=10))
