"""`agent doctor`: one line a check, with what to do about each that fails."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from cli.surroundings import completed
from config.settings import Settings
from config.values import masked
from launch.failures import LaunchError
from launch.ports import check_different, check_host, check_port, used_ports
from launch.preflight import trouble_with_wrapper
from launch.records import is_running
from storage.media_files import folder_of

if TYPE_CHECKING:
    from integrations.temporal.health import TemporalHealth
    from storage.health import StorageHealth

_OLDEST_PYTHON = (3, 11)
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Finding:
    """*wrong* None: nothing to check now, which is no fault."""

    subject: str
    wrong: bool | None
    text: str


def examine(settings: Settings) -> int:
    """Prints all findings; 1 if anything is wrong, else 0."""
    console = Console(highlight=False, soft_wrap=True)
    started = is_running(settings.data_dir / "processes.json")  # a killed one leaves its addresses behind
    findings = list(_findings(completed(settings) if started else settings, started=started))
    for finding in findings:
        mark = {True: "[red]wrong[/]", False: "[green]ok[/]   ", None: "[dim]-[/]    "}[finding.wrong]
        console.print(f"{mark} [bold]{finding.subject}[/]: ", end="")
        console.print(finding.text, markup=False)
    return int(any(finding.wrong for finding in findings))


def _findings(settings: Settings, *, started: bool) -> Iterator[Finding]:
    yield _python()
    yield _folder("DATA_DIR", settings.data_dir.absolute())
    yield _folder("MEDIA_DIR", folder_of(settings).absolute())
    yield _disk(settings)
    yield from _ports(settings, started)
    yield from _database(settings)
    yield from _temporal(settings)
    yield _wrapper(settings)


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", sys.version_info < _OLDEST_PYTHON, f"{version}; 3.11 or newer is needed")


def _folder(setting: str, folder: Path) -> Finding:
    """As the start makes and tries it, but nothing is left there."""
    existing = next(step for step in (folder, *folder.parents) if os.path.lexists(step))
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        text = f"{folder} cannot be written to ({error.strerror}); set it to a folder that can"
        return Finding(setting, True, text)
    return Finding(setting, False, f"{folder} can be written to")


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir.absolute()
    free = shutil.disk_usage(next(step for step in (folder, *folder.parents) if os.path.exists(step))).free
    text = f"{free // _MEGABYTE:,} MB free, {settings.disk_free_bytes // _MEGABYTE:,} MB needed (DISK_FREE_BYTES)"
    return Finding("Disk", free < settings.disk_free_bytes, text)


def _ports(settings: Settings, started: bool) -> Iterator[Finding]:
    """A default port that is taken is replaced at the start; only one that the user set is a fault."""
    if started:
        yield Finding("Ports", None, "the system runs; its addresses are in DATA_DIR/addresses.json")
        return
    if trouble := _told(lambda: check_host(settings.host)) or _told(
        lambda: check_different(settings, used_ports(settings))
    ):
        setting, _, text = trouble.partition(": ")
        yield Finding(setting, True, text)
        return
    for name in used_ports(settings):
        yield _port(settings, name)


def _port(settings: Settings, name: str) -> Finding:
    setting, port, explicit = name.upper(), getattr(settings, name), name in settings.model_fields_set
    host = "127.0.0.1" if name.startswith("temporal") else settings.host
    trouble = _told(lambda: check_port(setting, host, port))
    if trouble and explicit:
        return Finding(f"{setting} {port}", True, trouble.removeprefix(f"{setting}: "))
    return Finding(f"{setting} {port}", False, "taken; the next free one is used" if trouble else "free")


def _told(check: Callable[[], None]) -> str | None:
    """What the start would say, and end."""
    try:
        check()
    except LaunchError as error:
        return str(error)
    return None


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.database_url is None:
        yield Finding("PostgreSQL", None, "not running; `agent run` starts one, or set DATABASE_URL")
        return
    found = asyncio.run(_storage(settings.database_url, settings.readiness_timeout_seconds))
    wrong = "cannot be written to" if found.answers else "does not answer"
    yield Finding("PostgreSQL", bool(found.reason), f"{wrong}: {found.reason}" if found.reason else "can be written to")
    if found.answers:
        text = "all applied" if found.migrated else "missing ones: run `agent migrate`"
        yield Finding("Migrations", not found.migrated, text)


async def _storage(url: str, seconds: float) -> StorageHealth:
    from storage.database import Database
    from storage.health import storage_health

    database = Database(url, statement_seconds=seconds)
    try:
        return await storage_health(database)
    finally:
        await database.close()


def _temporal(settings: Settings) -> Iterator[Finding]:
    address = settings.temporal_address
    if address is None:
        yield Finding("Temporal", None, "not running; `agent run` starts one, or set TEMPORAL_ADDRESS")
        return
    from integrations.temporal.search_attributes import advice_on

    found = asyncio.run(_temporal_health(settings))
    where = f"{address}, namespace {settings.temporal_namespace}"
    yield Finding("Temporal", not found.answers, f"{where}: {'answers' if found.answers else found.reason}")
    if not found.answers:
        return
    wrong = found.attributes
    yield Finding("Search attributes", bool(wrong), advice_on(settings, wrong) if wrong else "all there")
    yield _worker(settings, found.worker_seen_seconds)


async def _temporal_health(settings: Settings) -> TemporalHealth:
    from integrations.temporal.connection import connect
    from integrations.temporal.health import temporal_health

    return await temporal_health(await connect(settings, lazy=True), settings)


def _worker(settings: Settings, seen: float | None) -> Finding:
    queue = settings.temporal_task_queue
    if seen is None or seen > settings.readiness_worker_seconds:
        wrong = None if settings.database_url is None else True  # nothing of ours runs: nor need a worker
        return Finding("Worker", wrong, f"none asks for work on the task queue {queue}: run `agent worker`")
    return Finding("Worker", False, f"asked for work on the task queue {queue} {seen:.0f} s ago")


def _wrapper(settings: Settings) -> Finding:
    subject, url = "Perplexity wrapper", settings.perplexity_base_url
    if url is None:
        return Finding(subject, None, "PERPLEXITY_BASE_URL is not set; `agent run` starts a simulator")
    trouble = trouble_with_wrapper(settings)
    return Finding(subject, bool(trouble), trouble or f"{masked(url)} is healthy")
