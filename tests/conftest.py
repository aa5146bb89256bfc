"""Real parts for the tests: one PostgreSQL and one Temporal dev server a run, a fresh database for each system.

With pytest-xdist (`make test`) the controller starts the servers and hands their addresses to its workers; who gets
which tests, `scheduling.py` says.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import settings

from tests.scheduling import ByModule, in_order
from tests.servers import postgres_server, temporal_server
from tests.support.memory import temporary_files_in_memory
from tests.support.processes import mark_processes, pytest_runtest_protocol  # noqa: F401 - a hook
from tests.system_in_process import System, running_system

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")  # an example that takes 0.2 s tells of the machine, not of the code

_STARTED = pytest.StashKey[ExitStack]()
_GARBAGE_IS_LOOKED_FOR_AFTER = (20_000, 20, 10)
"""Objects more than were freed; after every 700, Python's own number, a run spends a twentieth of its time on it."""


def pytest_configure(config: pytest.Config) -> None:
    started = config.stash[_STARTED] = ExitStack()
    started.enter_context(temporary_files_in_memory())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """In the controller, before each worker starts (pytest-xdist)."""
    if not hasattr(node.config, "servers"):
        started = node.config.stash[_STARTED]
        node.config.servers = (started.enter_context(postgres_server()), started.enter_context(temporal_server()))
    node.workerinput["servers"] = node.config.servers


def pytest_unconfigure(config: pytest.Config) -> None:
    if _STARTED in config.stash:
        config.stash[_STARTED].close()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """What is imported and collected stays, so garbage is looked for neither in it nor meanwhile."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        gc.set_threshold(*_GARBAGE_IS_LOOKED_FOR_AFTER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first."""
    mark_processes(items)
    items[:] = in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return ByModule(config, log)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """What was never closed is found in the run that left it, as an error of its last test (warnings are errors)."""
    yield
    gc.unfreeze()
    gc.collect()


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if servers := _of_the_controller(request.config):
        yield servers[0]
        return
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def temporal_address(request: pytest.FixtureRequest) -> Iterator[str]:
    if servers := _of_the_controller(request.config):
        yield servers[1]
        return
    with temporal_server() as address:
        yield address


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """The whole system in one process: worker and API over real servers, Perplexity scripted."""
    async with running_system(postgres_url, temporal_address) as system:
        yield system


def _of_the_controller(config: pytest.Config) -> tuple[str, str] | None:
    servers: tuple[str, str] | None = getattr(config, "workerinput", {}).get("servers")
    return servers
