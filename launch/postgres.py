"""The embedded PostgreSQL server: started on a folder, reached through a Unix socket, gone when we are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from config.environment import for_servers
from config.settings import Settings
from launch.clusters import Cluster, prepare_cluster
from launch.failures import LaunchError
from launch.logs import last_lines
from launch.processes import end, end_orphans, spawn

FAST_SHUTDOWN = signal.SIGINT
"""Open transactions are rolled back and the server ends at once, without recovery at the next start."""

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class RunningPostgres:
    """A server of ours. *url* is a plain `postgresql://` address, as libpq, asyncpg and DATABASE_URL take it."""

    url: str
    cluster: Cluster
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        """Ends the server; its files stay. May be called twice."""
        end(self.process, FAST_SHUTDOWN, _STOP_SECONDS)


def start_postgres(folder: Path, settings: Settings, *, durable: bool = True) -> RunningPostgres:
    """A server over *folder* (made if it is not there), ready for connections.

    Call it from a thread that lives on: the server ends with the thread that started it. Raises LaunchError.
    """
    made = folder.with_name(f"{folder.name}.initdb.log")
    cluster = prepare_cluster(folder, made, durable=durable)
    made.unlink(missing_ok=True)
    kill_orphaned_servers(cluster, settings)
    process = launch_server(cluster, log := cluster.folder / "server.log")
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready(cluster, process.pid):
        if process.poll() is not None or time.monotonic() > deadline:
            end(process, FAST_SHUTDOWN, _STOP_SECONDS)
            raise LaunchError(f"PostgreSQL did not start: {' / '.join(last_lines(log, 3))}")
        time.sleep(_LOOK_SECONDS)
    return RunningPostgres(address(cluster), cluster, process)


def launch_server(cluster: Cluster, log: Path) -> subprocess.Popen[bytes]:
    """The server process; it is not ready yet."""
    return spawn(
        cluster.command(),
        log=log,
        environment=for_servers(os.environ),
        folder=cluster.folder,
        os_user=cluster.os_user,
        death_signal=FAST_SHUTDOWN,
    )


def address(cluster: Cluster) -> str:
    return f"postgresql://postgres@/postgres?host={quote(os.fsencode(cluster.sockets))}"


def is_ready(cluster: Cluster, pid: int) -> bool:
    """Whether the server with *pid* takes connections: the last line of its lock file says so."""
    return _status(cluster, pid) == "ready"


def is_waiting_for_clients(cluster: Cluster, pid: int) -> bool:
    """Whether somebody else told the server with *pid* to stop: by SIGTERM it then waits until its last client goes."""
    return _status(cluster, pid) == "stopping"


def _status(cluster: Cluster, pid: int) -> str:
    lines = _lock_file(cluster)
    return lines[7].strip() if lines[0] == str(pid) and len(lines) > 7 else ""


def _lock_file(cluster: Cluster) -> list[str]:
    """Its lines; the first is the server's pid."""
    try:
        return (cluster.folder / "postmaster.pid").read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return [""]


def kill_orphaned_servers(cluster: Cluster, settings: Settings, stop_asked: Callable[[], bool] = lambda: False) -> None:
    """Ends what still runs on these files from an earlier start, the children of a killed server included; by force
    once *stop_asked*.

    What the children of a dead server do is lost anyway: they have POSTGRES_ORPHANS_SECONDS. With nobody left, a lock
    file is stale; it goes, since its pid may by now be another program's, and the server would then refuse to start.
    """
    left = list(_servers_on(cluster.folder))
    server = _lock_file(cluster)[0]
    has_server = any(str(process.pid) == server for process in left)
    seconds = _STOP_SECONDS if has_server else settings.postgres_orphans_seconds
    end_orphans(left, FAST_SHUTDOWN, seconds, settings.killed_seconds, stop_asked)
    (cluster.folder / "postmaster.pid").unlink(missing_ok=True)


def _servers_on(folder: Path) -> Iterator[psutil.Process]:
    """Server and backends alike work in the cluster's folder."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "postgres":
            continue
        try:
            if Path(process.cwd()) == folder:
                yield process
        except psutil.Error:
            continue
