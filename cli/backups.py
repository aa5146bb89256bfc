"""`agent backup FILE` and `agent restore FILE`: PostgreSQL's own programs, of the version that fits its server.

A distribution's `pg_dump` is often older than the server that `make run` starts, and then refuses. The wheel's is as
new as any server of ours.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit, urlunsplit

import typer

from cli.surroundings import found_settings, stop, unreadable
from config.environment import for_servers
from config.values import masked
from launch.clusters import client_program
from launch.failures import LaunchError
from launch.logs import last_line

_FROM = typer.Argument(help="A file that `agent backup` wrote.")
_TO = typer.Argument(help="The file to write; it must not exist yet.", dir_okay=False)

_BEGINNING = b"PGDMP"
"""The first bytes of PostgreSQL's custom format (`PG_DUMP_MAGIC` in its `pg_backup_archiver.c`)."""


def backup(file: Annotated[Path, _TO]) -> None:
    """Write a copy of the database to FILE while it runs. Keep DATA_DIR/media and secrets.json with it."""
    if file.exists():
        raise stop(f"{file} exists already; name another file")
    if not os.access(file.absolute().parent, os.W_OK | os.X_OK):
        raise stop(f"{file}: its folder is not there or cannot be written to; name a file in another")
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        _run("pg_dump", "--format=custom", f"--file={unfinished}")
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


def restore(file: Annotated[Path, _FROM]) -> None:
    """Put the copy in FILE in the place of what the running system's database holds: all of it, or nothing.

    The conversations that run end with it: their workflows know more than the copy, and read it when they begin anew.
    """
    _check_copy(file)
    _run("pg_restore", "--clean", "--if-exists", "--no-owner", "--exit-on-error", "--single-transaction", str(file))
    ended = _end_conversations()
    typer.echo(f"restored; {ended} conversations will begin anew from it")
    typer.echo("stop the system and start it again, so that every process sees it")


def _end_conversations() -> int:
    from integrations.temporal.connection import connect
    from integrations.temporal.conversations import Conversations, TemporalUnavailable

    settings = found_settings()

    async def end() -> int:
        return await Conversations(await connect(settings), settings).forget_all("The database was put back")

    try:
        return asyncio.run(end())
    except (TemporalUnavailable, RuntimeError) as error:
        raise stop(
            f"restored, but Temporal at {settings.temporal_address} does not answer ({error}): before anybody writes, "
            "start it and restore again, or remove its own data; its workflows know more than the copy"
        ) from None


def _check_copy(file: Path) -> None:
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


def _run(name: str, *arguments: str) -> None:
    """One of PostgreSQL's programs on our database; ends ours with one line where it fails."""
    url = found_settings().database_url or ""
    address, password = _apart(url)
    environment = for_servers(os.environ) | ({"PGPASSWORD": password} if password else {})
    try:
        command = [str(client_program(name)), f"--dbname={address}", *arguments]
        done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=False)
    except LaunchError as error:
        raise stop(str(error)) from None
    if done.returncode:
        raise stop(f"DATABASE_URL: {masked(url)}: {last_line(done.stderr.decode(errors='replace'))}")


def _apart(url: str) -> tuple[str, str]:
    """The address without its password, which every user could see in `ps`; and the password."""
    parts = urlsplit(url)
    who, at, place = parts.netloc.rpartition("@")
    user, _, password = who.partition(":")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{place}")), unquote(password)
