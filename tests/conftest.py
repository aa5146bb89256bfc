"""Real parts for the tests: one PostgreSQL and one Temporal dev server a session, a fresh database for each system."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.servers import postgres_server, temporal_server
from tests.support.processes import pytest_collection_modifyitems, pytest_runtest_protocol  # noqa: F401 - hooks
from tests.system_in_process import System, running_system


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def temporal_address() -> Iterator[str]:
    with temporal_server() as address:
        yield address


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """The whole system in one process: worker and API over real servers, Perplexity scripted."""
    async with running_system(postgres_url, temporal_address) as system:
        yield system
