"""`agent backup FILE` and `agent restore FILE`: a copy of the database, and the database from a copy."""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.postgres_programs import PostgresPrograms, ProgramFailed
from cli.surroundings import found_settings, stop, unreadable
from cli.values import PATH
from config.settings import Settings
from config.values import masked
from launch.failures import LaunchError
from storage.emptying import EMPTY_SCHEMA, END_OUR_SESSIONS
from storage.migrate import knows, upgrade
from storage.suitability import DatabaseUnusable

_FROM = typer.Argument(callback=PATH, help="A file that `agent backup` wrote.")
_TO = typer.Argument(callback=PATH, help="The file to write; it must not exist yet.", dir_okay=False)

_BEGINNING = b"PGDMP"
"""The first bytes of PostgreSQL's custom format (`PG_DUMP_MAGIC` in its `pg_backup_archiver.c`)."""
_TRIES = 5
"""At putting a copy back beside running processes, whose statements may lock the same tables in another order."""


def backup(file: Annotated[Path, _TO]) -> None:
    """Write a copy of the database to FILE while it runs. Keep DATA_DIR/media and secrets.json with it."""
    if os.path.lexists(file):
        raise stop(f"{file} exists already; name another file")
    if not os.access(file.absolute().parent, os.W_OK | os.X_OK):
        raise stop(f"{file}: its folder is not there or cannot be written to; name a file in another")
    settings = found_settings()
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=file.absolute().parent) as folder:
        unfinished = Path(folder) / "copy"
        with _told(settings):
            _programs(settings).dump(unfinished)
        try:
            unfinished.rename(file)
        except OSError as error:
            raise stop(f"{file}: {error.strerror}; give it another name") from None
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


def restore(file: Annotated[Path, _FROM]) -> None:
    """Put the copy in FILE in the place of what the running system's database holds: all of it, or nothing.

    The conversations that run end with it: their workflows know more than the copy, and read it when they start over.
    """
    _check_format(file)
    settings = found_settings()
    _put_back(settings, file.absolute())
    ended = _end_conversations(settings)
    typer.echo(f"restored; {ended} conversations will start over from it")
    typer.echo("stop the system and start it again, so that every process sees it")


def _check_format(file: Path) -> None:
    """Ends the program with one line unless *file* is a copy; `pg_restore` would take it for an archive of tar's."""
    try:
        if file.is_fifo():
            raise stop(f"{file}: is a pipe, and `pg_restore` reads twice; name a file that `agent backup` wrote")
        with file.open("rb") as content:
            is_copy = content.read(len(_BEGINNING)) == _BEGINNING
    except OSError as error:
        raise unreadable(file, error, "name a file that `agent backup` wrote") from None
    if not is_copy:
        raise stop(f"{file}: is no copy that `agent backup` wrote; name one that is. The database is as it was")


def _put_back(settings: Settings, file: Path) -> None:
    """The database as *file* has it, brought to our schema; our processes connect to it anew."""
    programs = _programs(settings)
    _check_copy(programs, file)
    patience = f"SET LOCAL lock_timeout = {math.ceil(1_000 * settings.database_timeout_seconds)};"
    with _told(settings):
        _fill(programs, file, [patience, END_OUR_SESSIONS, EMPTY_SCHEMA])
        upgrade(settings.database_url or "", settings.database_timeout_seconds)
        programs.execute(END_OUR_SESSIONS)


def _fill(programs: PostgresPrograms, file: Path, before: list[str]) -> None:
    """Once more where it met a statement of ours that held what it wanted: all of it was undone then."""
    for tries_left in reversed(range(_TRIES)):
        try:
            return programs.fill(file, before)
        except ProgramFailed as failed:
            if not tries_left or "deadlock detected" not in str(failed):
                raise


def _check_copy(programs: PostgresPrograms, file: Path) -> None:
    """Ends the program with one line where *file* is no copy of a database of ours, or a newer version's."""
    try:
        revisions = programs.rows_of("alembic_version", file)
    except (ProgramFailed, LaunchError) as error:
        raise stop(f"{file}: {error}") from None
    if len(revisions) != 1:
        raise stop(f"{file}: is no copy of this system's database (no alembic_version in it); nothing was changed")
    if not knows(revisions[0]):
        raise stop(f"{file}: a newer version wrote it (revision {revisions[0]}); restore it with that version")


def _end_conversations(settings: Settings) -> int:
    from integrations.temporal.connection import address_of, connect
    from integrations.temporal.conversations import Conversations, TemporalUnavailable

    async def end() -> int:
        return await Conversations(await connect(settings), settings).forget_all("The database was put back")

    try:
        return asyncio.run(end())
    except (TemporalUnavailable, RuntimeError) as error:
        raise stop(
            f"restored, but Temporal at {address_of(settings)} does not answer ({error}): before anybody writes, "
            "start it and restore again, or remove its own data; its workflows know more than the copy"
        ) from None


def _programs(settings: Settings) -> PostgresPrograms:
    return PostgresPrograms(settings.database_url or "", settings.database_timeout_seconds)


@contextmanager
def _told(settings: Settings) -> Iterator[None]:
    """Ends the program with one line that names the database."""
    try:
        yield
    except (ProgramFailed, DatabaseUnusable) as error:
        raise stop(f"DATABASE_URL: {masked(settings.database_url or '')}: {error}") from None
    except LaunchError as error:
        raise stop(str(error)) from None
