"""Where examples play, one after the other: a loop, a folder for files, a database that is emptied before each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from sqlalchemy import RowMapping

from config.settings import Settings
from tests.model.database import STANDING_CLOCK, ModelDatabase
from tests.model.virtual_loop import VirtualLoop
from tests.model.world import Composes, World, model_settings, now_of
from tests.servers import fresh_database
from worker.app import create_activities


class Stage:
    """*loop* runs only while an example does."""

    def __init__(self, url: str, folder: Path) -> None:
        self.loop = VirtualLoop()
        self.database = ModelDatabase(url, self.loop, lambda: now_of(self.loop))
        self._folder = folder
        self._settings: dict[tuple[tuple[str, object], ...], Settings] = {}
        """By what is changed in them: to read them costs as much as a short example."""

    def world(self, composes: Composes = create_activities, **changes: object) -> World:
        """For one example."""
        which = tuple(sorted(changes.items()))
        if which not in self._settings:
            self._settings[which] = model_settings(media_dir=self._folder, **changes)
        return World(self.loop, self.database, self._settings[which], composes)

    def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        """One statement between examples."""
        found = self.loop.create_task(self.database.rows(statement, values))
        self.loop.run_until_quiet()
        return found.result()

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
    url = loop.run_until_complete(fresh_database(postgres_url, name))
    loop.close()
    with TemporaryDirectory(prefix="agent-model-") as folder:
        stage = Stage(url, Path(folder))
        try:
            stage.rows(STANDING_CLOCK)
            yield stage
        finally:
            stage.close()
