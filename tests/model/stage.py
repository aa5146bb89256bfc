"""Where examples play, one after the other: a loop, and a database of its own that is emptied before each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.model.database import ModelDatabase
from tests.model.virtual_loop import VirtualLoop
from tests.model.world import now_of
from tests.servers import MIGRATED, database_at, execute


class Stage:
    """*loop* runs only while an example does."""

    def __init__(self, url: str) -> None:
        self.loop = VirtualLoop()
        self.database = ModelDatabase(url, self.loop, lambda: now_of(self.loop))

    def close(self) -> None:
        self.loop.set_exception_handler(None)
        self.loop.run_until_complete(self.database.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@contextmanager
def stage_at(postgres_url: str) -> Iterator[Stage]:
    """A stage with a fresh database on that server."""
    name = f"model_{uuid4().hex}"
    loop = VirtualLoop()
    loop.run_until_complete(execute(postgres_url, f"CREATE DATABASE {name} TEMPLATE {MIGRATED}"))
    loop.close()
    stage = Stage(database_at(postgres_url, name))
    try:
        yield stage
    finally:
        stage.close()
