"""PostgreSQL's own programs (`pg_dump`, `pg_restore`, `psql`) on our database, for `agent backup` and `agent restore`.

A distribution's are often older than the server that `make run` starts, and then refuse. The wheel's are as new as any
server of ours.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from config.environment import for_servers
from launch.clusters import client_program
from launch.logs import telling_line

_TOO_NEW = b"SET transaction_timeout = 0;\n"
"""In the head of every script; a server before PostgreSQL 17 does not know it."""

_HEAD_LINES = 40


class ProgramFailed(Exception):
    """The message is one line: the reason that the program gave."""


@dataclass(frozen=True)
class PostgresPrograms:
    """On the database at *url*; *connect_seconds* bounds each try to connect. All raise ProgramFailed, LaunchError."""

    url: str
    connect_seconds: float

    def dump(self, file: Path) -> None:
        """Writes a copy of the database to *file*."""
        self._run("pg_dump", self._database, "--format=custom", f"--file={file}")

    def rows_of(self, table: str, file: Path) -> list[str]:
        """The lines of *table* in the copy that *file* is; none where it has no such table."""
        script = self._run("pg_restore", "--data-only", "--schema=public", f"--table={table}", "--file=-", str(file))
        _, found, rest = script.partition(f"COPY public.{table} ")
        return rest.partition("\n\\.\n")[0].splitlines()[1:] if found else []

    def execute(self, statement: str) -> None:
        self._run("psql", self._database, "--no-psqlrc", f"--command={statement}")

    def fill(self, file: Path, before: Sequence[str]) -> None:
        """Runs the statements *before*, then what *file* holds, in one transaction: all of it or nothing."""
        reading = self._command("pg_restore", "--schema=public", "--no-owner", "--file=-", str(file))
        writing = self._command("psql", self._database, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
        with tempfile.TemporaryFile() as told:
            with (
                suppress(BrokenPipeError),  # psql has ended, and says why
                _started(reading, self._environment, told, stdout=subprocess.PIPE) as reader,
                _started(writing, self._environment, told, stdin=subprocess.PIPE) as writer,
            ):
                _pass_on(reader, writer, before)
            if reader.returncode or writer.returncode:
                told.seek(0)
                raise ProgramFailed(telling_line(told.read().decode(errors="replace")))

    def _run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(self._command(name, *arguments), env=self._environment, capture_output=True, check=False)
        if done.returncode:
            raise ProgramFailed(telling_line(done.stderr.decode(errors="replace")))
        return done.stdout.decode(errors="replace")

    def _command(self, name: str, *arguments: str) -> list[str]:
        return [str(client_program(name)), *arguments]

    @property
    def _database(self) -> str:
        """The address without its password, which every user could see in `ps`."""
        parts = urlsplit(self.url)
        who, at, place = parts.netloc.rpartition("@")
        netloc = f"{who.partition(':')[0]}{at}{place}"
        return f"--dbname={urlunsplit(parts._replace(netloc=netloc))}"

    @property
    def _environment(self) -> dict[str, str]:
        user = urlsplit(self.url).netloc.rpartition("@")[0]
        password = unquote(user.partition(":")[2])
        seconds = {"PGCONNECT_TIMEOUT": str(max(2, math.ceil(self.connect_seconds)))}  # libpq takes 1 for 2
        return for_servers(os.environ) | seconds | ({"PGPASSWORD": password} if password else {})


def _started(
    command: Sequence[str],
    environment: dict[str, str],
    told: IO[bytes],
    *,
    stdin: int | None = None,
    stdout: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, env=environment, stdin=stdin, stdout=stdout, stderr=told)


def _pass_on(reader: subprocess.Popen[bytes], writer: subprocess.Popen[bytes], before: Sequence[str]) -> None:
    """COMMIT comes only once all is read and was whole; without it, psql's end undoes everything."""
    script, session = reader.stdout, writer.stdin
    assert script
    assert session
    session.write("\n".join(["BEGIN;", *before, ""]).encode())
    for _ in range(_HEAD_LINES):
        if (line := script.readline()) != _TOO_NEW:
            session.write(line)
    shutil.copyfileobj(script, session)
    if reader.wait() == 0:
        session.write(b"COMMIT;\n")
    session.flush()
