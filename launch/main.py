"""`agent run`: the whole system from one command, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

from config.settings import Settings
from launch.addresses import addresses_of, table_of
from launch.clusters import prepare_cluster
from launch.failures import NO_ROOM, LaunchError, StopRequested, refused
from launch.folder import DataFolder, locked_folder
from launch.keys import find_keys
from launch.logs import last_line
from launch.parts import DATABASE, LaunchContext, agent_command, programs, servers
from launch.ports import Ports, claimed_ports
from launch.postgres import address
from launch.preflight import trouble_with_wrapper, wait_for_temporal
from launch.records import kill_orphaned_parts
from launch.steps import run_step
from launch.stopping import StopClock
from launch.supervisor import Supervisor
from launch.temporal_file import move_aside_if_damaged


def run(settings: Settings) -> int:
    """Starts everything, prints where it is and READY, watches until told to stop. The exit code."""
    stop = StopClock()
    stop.listen()
    try:
        with locked_folder(settings) as folder, claimed_ports(settings) as ports:
            _run(settings, folder, ports, stop)
    except LaunchError as error:
        print(f"agent run: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"agent run: {refused(error)}", file=sys.stderr)
        return 1
    return 0


def _run(settings: Settings, folder: DataFolder, ports: Ports, stop: StopClock) -> None:
    began = time.monotonic()
    kill_orphaned_parts(folder.processes, settings, stop.asked)
    supervisor = Supervisor(settings, folder.processes, stop)
    try:
        with stop.interrupting():
            wait_for_temporal(settings, _say, stop.asked)
        around = _start(settings, folder, ports, supervisor, stop.asked)
        _announce(around, supervisor, time.monotonic() - began)
        _look_at_wrapper(settings, stop.asked)
        supervisor.watch(lambda: around.addresses.write(folder.addresses, supervisor.pids()), _say)
    except StopRequested:
        pass
    finally:
        _say("Stopping …")
        supervisor.stop()
    _say("Stopped." if settings.ephemeral else f"Stopped. Everything is kept in {folder.kept}")


def _start(
    settings: Settings, folder: DataFolder, ports: Ports, supervisor: Supervisor, stop_asked: Callable[[], bool]
) -> LaunchContext:
    _say("Starting PostgreSQL, Temporal and the Perplexity simulator, unless the settings name others …")
    if settings.temporal_address is None and (told := move_aside_if_damaged(folder.temporal)):
        _say(told)
    cluster, earlier_database = None, (folder.postgres / "PG_VERSION").exists()
    earlier_temporal = settings.temporal_address is None and not settings.ephemeral and folder.temporal.exists()
    if settings.database_url is None:
        log = folder.log("initdb")
        cluster = prepare_cluster(folder.postgres, log, durable=not settings.ephemeral, stop_asked=stop_asked)
    keys = find_keys(settings, folder.secrets)
    database_url = address(cluster) if cluster else settings.database_url or ""
    addresses = addresses_of(settings, ports, keys, database_url)
    around = LaunchContext(settings, folder, ports, keys, addresses, stop_asked, earlier_database, earlier_temporal)
    below = servers(around, cluster)
    supervisor.start(below)
    supervisor.wait([part for part in below if part.name == DATABASE])
    _say("Bringing the database up to date …")  # while the other servers are still starting
    _migrate(around, stop_asked)
    supervisor.wait(below)
    _say("Starting worker and API …")
    supervisor.start(above := programs(around))
    supervisor.wait(above)
    return around


def _migrate(around: LaunchContext, stop_asked: Callable[[], bool]) -> None:
    log = around.folder.log("migrate")
    try:
        done = run_step(
            agent_command("migrate"),
            log=log,
            environment=around.environment(),
            seconds=around.settings.start_seconds,
            stop_asked=stop_asked,
        )
    except TimeoutError:
        raise LaunchError("the database's migrations did not end in START_SECONDS") from None
    if done.code:
        said = last_line(done.said).removeprefix("agent: ")
        raise LaunchError(f"the database could not be brought up to date: {said} (more in {log})")


def _announce(around: LaunchContext, supervisor: Supervisor, seconds: float) -> None:
    around.addresses.write(around.folder.addresses, supervisor.pids())
    logs = around.folder.log("api").parent
    _say(table_of(around.addresses, around.keys, simulated=around.settings.perplexity_base_url is None, logs=logs))
    _say(f"READY after {seconds:.1f} s. Ctrl-C stops everything.")


def _look_at_wrapper(settings: Settings, stop_asked: Callable[[], bool]) -> None:
    """Beside everything else: it may be slow to answer, and we are ready to take messages without it."""

    def look() -> None:
        trouble = trouble_with_wrapper(settings)
        if trouble and not stop_asked():
            _say(trouble)

    threading.Thread(target=look, daemon=True).start()


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in NO_ROOM:  # it passes; the line waits
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read our output is gone; it goes on, saying no more
