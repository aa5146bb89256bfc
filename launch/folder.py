"""DATA_DIR: one launcher at a time, room on the disk, and a place that is gone afterwards when EPHEMERAL is set."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from config.values import folder as usable
from launch.clusters import short_name
from launch.failures import LaunchError, naming
from launch.files import make_folder
from launch.kinds import check_file, check_kinds, check_link
from launch.os_user import os_user_name

_LOCK = "lock"
_MODE, _MODE_OF_ROOTS = 0o700, 0o711
_OURS = (
    *("addresses.json", "processes.json", "secrets.json", "metrics", "simulator", "logs", "logs/*"),
    *("temporal.sqlite", "temporal.sqlite-wal", "temporal.sqlite-shm"),
)
"""What a start and its parts write in DATA_DIR, besides PostgreSQL's and customers' files."""

_COUNTERS = re.compile(r"(counter|gauge_\w+|histogram|summary)_[0-9]+\.db")
"""The files of prometheus_client's multiprocess mode, one a kind and process."""


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
    """DATA_DIR, ours until the block ends. Raises LaunchError: in use, not writable, no room, another kind of file.

    An ephemeral one is gone afterwards; of a start that failed, the logs stay, which its last line names.
    """
    shown = _absolute(settings.data_dir)
    try:
        usable(shown)
    except ValueError as error:
        raise LaunchError(f"DATA_DIR: {str(shown)!a} cannot be used; set it to {error}") from None
    made_here = _make(shown)
    with _lock(shown) as is_ours, _kept(shown, ephemeral=settings.ephemeral) as kept:
        folder, worked = DataFolder(shown, kept), False
        try:
            _check_room(kept, settings.disk_free_bytes)
            _check_inside(folder)
            _check_ownership(folder)
            _make_inside(folder)
            check_media_folder(settings.media_dir or kept / "media")
            with _ours_alone(folder, is_ours):
                yield folder
            worked = True
        finally:
            if settings.ephemeral:
                _remove_temporary(kept, with_logs=worked)
            if settings.ephemeral and is_ours():
                _remove_shown(shown, made_here)


@contextmanager
def _ours_alone(folder: DataFolder, is_ours: Callable[[], bool]) -> Iterator[None]:
    """Addresses and processes of this run only. What a killed one left says where nothing is by now; its processes are
    read, and ended, by the first start that comes so far."""
    folder.addresses.unlink(missing_ok=True)
    try:
        yield
    finally:
        for each in (folder.addresses, folder.processes) if is_ours() else ():
            with suppress(OSError):  # a disk that was taken away
                each.unlink()


def _absolute(folder: Path) -> Path:
    try:
        return folder.absolute()
    except FileNotFoundError:
        raise LaunchError(
            "the current folder is gone: change into one that is there (cd), or set DATA_DIR to a full path"
        ) from None


def _make(folder: Path) -> bool:
    """Whether it was not there before. Root's own files stay closed by their modes; the folder itself lets
    PostgreSQL's account pass."""
    try:
        made_here = not folder.exists()
        make_folder(folder, _MODE_OF_ROOTS if os.geteuid() == 0 else _MODE)
        with tempfile.TemporaryFile(dir=folder):
            return made_here
    except OSError as error:
        raise _unusable("DATA_DIR", folder, error) from None


def check_media_folder(folder: Path) -> None:
    """Makes the place of customers' files. Raises LaunchError where they could not be kept."""
    check_folder("MEDIA_DIR", folder)


def check_folder(setting: str, folder: Path) -> None:
    """Makes *folder*, which *setting* names. Raises LaunchError where nothing could be kept in it."""
    try:
        make_folder(folder, _MODE)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unusable(setting, folder.absolute(), error) from None


def _unusable(setting: str, folder: Path, error: OSError) -> LaunchError:
    why = "it is no folder" if folder.exists() and not folder.is_dir() else error.strerror
    for step in (folder, *folder.parents):
        if os.path.islink(step) and not os.path.exists(step):
            why = f"{step} leads to {step.readlink()}, which is not there"
    return LaunchError(f"{setting}: {folder} cannot be written to ({why}); set it to a folder that can")


@contextmanager
def _lock(folder: Path) -> Iterator[Callable[[], bool]]:
    """Whether the lock is still the folder's: whoever removes DATA_DIR under a running system lets another one begin
    there, whose files are its own."""

    def is_ours() -> bool:
        with suppress(OSError):
            return os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / _LOCK))
        return False

    check_file(folder / _LOCK)
    with (folder / _LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip()
            raise LaunchError(
                f"DATA_DIR: {folder} is in use by a running `agent run` (pid {who}); stop it first"
            ) from None
        with naming(folder / _LOCK):
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
        yield is_ours


@contextmanager
def _kept(shown: Path, *, ephemeral: bool) -> Iterator[Path]:
    """A temporary folder is held while its system runs: another one of the same DATA_DIR leaves it alone."""
    if not ephemeral:
        yield shown
        return
    folder = _temporary(shown)
    with _held(folder):
        yield folder


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Raises BlockingIOError where another process holds it."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a disk that knows no locks of folders
            pass
        yield
    finally:
        os.close(number)


def _temporary(shown: Path) -> Path:
    """A fresh folder under a name that nobody can foretell: the temp folder is everybody's.

    What an earlier run left there goes first, of this DATA_DIR and this user.
    """
    place, name = Path(tempfile.gettempdir()), f"perplexity-agent-{short_name(shown)}-{os.geteuid()}-"
    for left in place.glob(f"{name}*"):
        found = left.lstat()
        if found.st_uid == os.geteuid() and stat.S_ISDIR(found.st_mode):
            with suppress(OSError), _held(left):
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=name, dir=place))
    folder.chmod(_MODE_OF_ROOTS if os.geteuid() == 0 else _MODE)
    return folder


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LaunchError(
            f"no room: {free // 1_000_000:,} MB free where {folder} lies, {needed // 1_000_000:,} MB needed"
            " (DISK_FREE_BYTES); make room, or set DATA_DIR to another disk"
        )


def _check_inside(folder: DataFolder) -> None:
    """What PostgreSQL has is looked at where it is used, a folder in place of Temporal's file as damage of it."""
    check_link(folder.temporal)
    logs = folder.log("any").parent
    check_kinds(
        files=(folder.addresses, folder.processes, folder.secrets),
        folders=(logs, folder.simulator, folder.metrics),
        logs=logs.glob("*.log"),
    )
    for counters in _counters(folder):
        if not _COUNTERS.fullmatch(counters.name) or not counters.is_file():
            raise LaunchError(
                f"{counters} is none of our files, and each start empties {folder.metrics}: move it away, or set"
                " DATA_DIR to another folder"
            )


def _counters(folder: DataFolder) -> list[Path]:
    return list(folder.metrics.iterdir()) if folder.metrics.is_dir() else []


def _check_ownership(folder: DataFolder) -> None:
    """Files of another user's start; PostgreSQL's are looked at where they are used."""
    ours = [path for name in _OURS for path in folder.kept.glob(name)]
    for path in (path for path in ours if not os.access(path, os.R_OK | os.W_OK) and path.exists()):
        if (owner := path.stat().st_uid) == os.geteuid():
            raise LaunchError(f"{path} is yours, and its mode keeps you from it: chmod u+rw it (a folder: u+rwx)")
        raise LaunchError(f"{path} belongs to {os_user_name(owner)}: start as that user, or chown it")


def _make_inside(folder: DataFolder) -> None:
    for counters in _counters(folder):  # of processes that are gone
        counters.unlink()
    for inside in (folder.log("any").parent, folder.metrics, folder.simulator):
        inside.mkdir(mode=0o700, exist_ok=True)


def _remove_temporary(kept: Path, *, with_logs: bool) -> None:
    """The logs stay *with_logs* False, if there are any; the next start of this DATA_DIR removes them."""
    logs = kept / "logs"
    for path in kept.iterdir():
        if path == logs and not with_logs and any(logs.iterdir()):
            continue
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):  # a folder, which is gone
            path.unlink()
    with suppress(OSError):
        kept.rmdir()


def _remove_shown(shown: Path, made_here: bool) -> None:
    (shown / _LOCK).unlink(missing_ok=True)
    if made_here:
        with suppress(OSError):  # somebody put something of their own there
            shown.rmdir()
