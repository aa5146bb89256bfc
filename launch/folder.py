"""DATA_DIR: one launcher at a time, room on the disk, and a place that is gone afterwards when EPHEMERAL is set."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from config.values import folder as usable
from launch.clusters import short_name
from launch.failures import LaunchError
from launch.files import make_folder
from launch.os_user import os_user_name

_LOCK = "lock"
_MODE, _MODE_OF_ROOTS = 0o700, 0o711


@dataclass(frozen=True)
class DataFolder:
    """*shown*: DATA_DIR, where others look for addresses.json. *kept*: everything else; not DATA_DIR if ephemeral."""

    shown: Path
    kept: Path

    @property
    def addresses(self) -> Path:
        return self.shown / "addresses.json"

    @property
    def secrets(self) -> Path:
        return self.kept / "secrets.json"

    @property
    def processes(self) -> Path:
        return self.shown / "processes.json"

    @property
    def postgres(self) -> Path:
        return self.kept / "postgres"

    @property
    def temporal(self) -> Path:
        return self.kept / "temporal.sqlite"

    @property
    def simulator(self) -> Path:
        return self.kept / "simulator"

    @property
    def metrics(self) -> Path:
        return self.kept / "metrics"

    def log(self, part: str) -> Path:
        return self.kept / "logs" / f"{part}.log"


@contextmanager
def locked_folder(settings: Settings) -> Iterator[DataFolder]:
    """DATA_DIR, ours until the block ends. Raises LaunchError: in use, not writable, no room."""
    shown = settings.data_dir.absolute()
    try:
        usable(shown)
    except ValueError as error:
        raise LaunchError(f"DATA_DIR: {str(shown)!a} cannot be used; set it to {error}") from None
    made_here = not shown.exists()
    _make(shown)
    with _lock(shown):
        kept = _temporary(shown) if settings.ephemeral else shown
        folder = DataFolder(shown, kept)
        try:
            _check_room(kept, settings.disk_free_bytes)
            _check_ownership(folder)
            _make_inside(folder)
            check_media_folder(settings.media_dir or kept / "media")
            yield folder
        finally:
            folder.addresses.unlink(missing_ok=True)
            folder.processes.unlink(missing_ok=True)
            if settings.ephemeral:
                _remove(folder, made_here)


def _make(folder: Path) -> None:
    """Root's own files stay closed by their modes; the folder itself lets PostgreSQL's account pass."""
    try:
        make_folder(folder, _MODE_OF_ROOTS if os.geteuid() == 0 else _MODE)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LaunchError(
            f"DATA_DIR: {folder} cannot be written to ({error.strerror}); set it to a folder that can"
        ) from None


def check_media_folder(folder: Path) -> None:
    """Makes the place of customers' files. Raises LaunchError where they could not be kept."""
    try:
        make_folder(folder, _MODE)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise LaunchError(
            f"MEDIA_DIR: {folder.absolute()} cannot be written to ({error.strerror}); set it to a folder that can"
        ) from None


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip()
            raise LaunchError(
                f"DATA_DIR: {folder} is in use by a running `agent run` (pid {who}); stop it first"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _temporary(shown: Path) -> Path:
    """A fresh folder; what a killed run left there goes first."""
    folder = Path(tempfile.gettempdir()) / f"perplexity-agent-{short_name(shown)}-{os.geteuid()}"
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(folder, _MODE_OF_ROOTS if os.geteuid() == 0 else _MODE)
    return folder


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LaunchError(
            f"no room: {free // 1_000_000:,} MB free where {folder} lies, {needed // 1_000_000:,} MB needed"
            " (DISK_FREE_BYTES); make room, or set DATA_DIR to another disk"
        )


def _check_ownership(folder: DataFolder) -> None:
    """Files of another user's start; PostgreSQL's are looked at where they are used."""
    for path in (*folder.kept.iterdir(), *folder.kept.glob("logs/*")):
        if path != folder.postgres and not os.access(path, os.R_OK | os.W_OK):
            raise LaunchError(f"{path} belongs to {os_user_name(path.stat().st_uid)}: start as that user, or chown it")


def _make_inside(folder: DataFolder) -> None:
    shutil.rmtree(folder.metrics, ignore_errors=True)  # counters of processes that are gone
    for inside in (folder.log("any").parent, folder.metrics, folder.simulator):
        inside.mkdir(mode=0o700, exist_ok=True)


def _remove(folder: DataFolder, made_here: bool) -> None:
    shutil.rmtree(folder.kept, ignore_errors=True)
    (folder.shown / _LOCK).unlink(missing_ok=True)
    if made_here:
        with suppress(OSError):  # somebody put something of their own there
            folder.shown.rmdir()
