"""The parts of the system: what each one's process is, and how to see that it works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from config.environment import for_servers
from config.settings import Settings
from integrations.whatsapp.standin.account import ACCESS_TOKEN, PHONE_NUMBER_ID
from launch.addresses import Addresses
from launch.clusters import Cluster
from launch.failures import LaunchError
from launch.folder import DataFolder
from launch.keys import Keys
from launch.ports import Ports
from launch.postgres import FAST_SHUTDOWN, is_ready, is_waiting_for_clients, kill_orphaned_servers, launch_server
from launch.probes import answers, ask
from launch.processes import spawn
from launch.temporal import is_serving, temporal_command

DATABASE = "postgres"

_REFUSED_SECONDS = 15.0
"""So long Temporal may lack our namespace or search attributes: one of several servers knows new ones only after a
while. Longer, and the worker could not make them."""


@dataclass(frozen=True)
class LaunchedPart:
    """*ready* takes the pid of the running process; it raises LaunchError when that will not come by waiting.

    *reminded_by*: parts that start anew when it has come back. *grace_seconds*: what it may need to end by itself.
    *advice*: said when it ends while starting, or does not become ready; *late_advice* in the second case alone, where
    another part may be the reason. *lingers* takes the pid: somebody else's stop is waiting in it for what
    will not end by itself, so it gets *stop_signal* too. *clear* ends what an earlier process of it has left: before it
    starts, and when all has stopped.
    """

    name: str
    log: Path
    start: Callable[[], subprocess.Popen[bytes]]
    ready: Callable[[int], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    reminded_by: tuple[str, ...] = ()
    grace_seconds: float = 0.0
    advice: tuple[str, ...] = ()
    late_advice: tuple[str, ...] = ()
    lingers: Callable[[int], bool] = lambda _pid: False
    clear: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class LaunchContext:
    """What all parts are made from. *earlier_…*: its files are ours, and of an earlier start."""

    settings: Settings
    folder: DataFolder
    ports: Ports
    keys: Keys
    addresses: Addresses
    stop_asked: Callable[[], bool]
    earlier_database: bool = False
    earlier_temporal: bool = False

    def environment(self) -> dict[str, str]:
        """Ours, and where everything is: each process of ours reads it as settings."""
        return os.environ | {
            "DATA_DIR": str(self.folder.kept),
            "DATABASE_URL": self.addresses.database_url,
            "TEMPORAL_ADDRESS": self.addresses.temporal,
            "TEMPORAL_UI_PORT": str(self.ports.temporal_ui),
            "PERPLEXITY_BASE_URL": self.addresses.perplexity,
            "PORT": str(self.ports.api),
            "API_KEY": self.keys.api_key,
            "SECRET_KEY": self.keys.secret_key,
            "ADMIN_LINK_TOKEN": self.keys.admin_link_token,
            "METRICS_TOKEN": self.keys.metrics_token,
            "PROMETHEUS_MULTIPROC_DIR": str(self.folder.metrics),
            **self._phone(),
        }

    def _phone(self) -> dict[str, str]:
        """The stand-in's account, while the stand-in runs in place of the real service."""
        if self.addresses.whatsapp is None:
            return {}
        return {
            "WHATSAPP_STANDIN_URL": self.addresses.whatsapp,
            "WHATSAPP_GRAPH_URL": self.addresses.whatsapp,
            "WHATSAPP_ACCESS_TOKEN": ACCESS_TOKEN,
            "WHATSAPP_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
            "WHATSAPP_APP_SECRET": self.keys.app_secret,
            "WHATSAPP_VERIFY_TOKEN": self.keys.verify_token,
        }


def servers(around: LaunchContext, cluster: Cluster | None) -> list[LaunchedPart]:
    """What stands below our own code: PostgreSQL, Temporal, the simulators; each unless the settings name another."""
    settings = around.settings
    return [
        *([_postgres(around, cluster)] if cluster else []),
        *([] if settings.temporal_address else [_temporal(around)]),
        *([] if settings.perplexity_base_url else [_simulator(around)]),
        *([_standin(around)] if around.addresses.whatsapp else []),
    ]


def programs(around: LaunchContext) -> list[LaunchedPart]:
    """Worker and API; they need the servers and a migrated database."""
    return [_worker(around), _api(around)]


def agent_command(*arguments: str) -> list[str]:
    """A command of our own CLI, found in `ps` as `agent …`."""
    return [sys.executable, str(Path(sys.executable).with_name("agent")), *arguments]


def _postgres(around: LaunchContext, cluster: Cluster) -> LaunchedPart:
    return LaunchedPart(
        DATABASE,
        log := around.folder.log(DATABASE),
        lambda: launch_server(cluster, log),
        lambda pid: is_ready(cluster, pid),
        FAST_SHUTDOWN,
        lingers=lambda pid: is_waiting_for_clients(cluster, pid),
        advice=(
            f"if it is its files, bring {around.folder.postgres} back from a copy, or move it aside to begin with an"
            " empty database (`agent restore` fills it from a backup)",
        )
        if around.earlier_database
        else (),
        clear=lambda: kill_orphaned_servers(cluster, around.settings, around.stop_asked),
    )


def _temporal(around: LaunchContext) -> LaunchedPart:
    settings, ports = around.settings, around.ports
    db_file = None if settings.ephemeral else around.folder.temporal
    folder = db_file.parent if db_file else None
    command = temporal_command(ports.temporal, ports.temporal_ui, db_file, settings.temporal_namespace)
    return LaunchedPart(
        "temporal",
        log := around.folder.log("temporal"),
        lambda: spawn(command, log=log, environment=for_servers(os.environ), folder=folder),
        lambda _pid: is_serving(around.addresses.temporal),
        # Kept in memory, its schedules die with it; the worker makes them when it starts.
        reminded_by=("worker",) if settings.ephemeral else (),
        advice=_about_temporals_file(around),
    )


def _about_temporals_file(around: LaunchContext) -> tuple[str, ...]:
    """Some damage shows only in what Temporal does with it, or in nobody's getting on with it."""
    if not around.earlier_temporal:
        return ()
    return (f"if it is Temporal's file, move {around.folder.temporal} aside: conversations are in PostgreSQL",)


def _simulator(around: LaunchContext) -> LaunchedPart:
    options = ["--port", str(around.ports.simulator), "--state-folder", str(around.folder.simulator)]
    health = f"{around.addresses.perplexity}/health"
    return _ours(around, "simulator", lambda _pid: answers(health), options)


def _standin(around: LaunchContext) -> LaunchedPart:
    webhook = f"{around.addresses.api}/api/webhooks/whatsapp"
    options = ["--port", str(around.ports.whatsapp), "--webhook-url", webhook]
    return _ours(around, "standin", lambda _pid: answers(f"{around.addresses.whatsapp}/standin/switches"), options)


def _worker(around: LaunchContext) -> LaunchedPart:
    """Ready once it asks Temporal for work, as the API sees it: it, and not one that ran before."""
    readyz = f"{around.addresses.api}/readyz"

    def polls(pid: int) -> bool:
        seen = ask(readyz, around.keys.metrics_token).get("worker_seen_seconds")
        return seen is not None and seen < time.time() - psutil.Process(pid).create_time()

    part = _ours(around, "worker", polls, grace_seconds=around.settings.worker_shutdown_seconds)
    return replace(part, late_advice=_about_temporals_file(around))


def _api(around: LaunchContext) -> LaunchedPart:
    part = _ours(around, "api", _Answering(f"{around.addresses.api}/readyz", around.keys.metrics_token))
    return replace(part, late_advice=_about_temporals_file(around))


class _Answering:
    """Whether a turn could be answered now. What a start cannot mend ends it, once it has lasted for a while."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._refused_since: float | None = None

    def __call__(self, _pid: int) -> bool:
        state = ask(self._url, self._token)
        if not state or (state.get("temporal") and state.get("search_attributes")):
            self._refused_since = None
            return bool(state.get("can_answer"))
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since > _REFUSED_SECONDS:
            raise LaunchError("; ".join(state.get("missing", ())))
        return False


def _ours(
    around: LaunchContext,
    name: str,
    ready: Callable[[int], bool],
    options: Sequence[str] = (),
    grace_seconds: float = 0.0,
) -> LaunchedPart:
    log = around.folder.log(name)
    environment: Mapping[str, str] = around.environment()
    start = lambda: spawn(agent_command(name, *options), log=log, environment=environment)  # noqa: E731
    return LaunchedPart(name, log, start, ready, grace_seconds=grace_seconds)
