"""Each oddity of a machine by itself: the whole table of docs/setup.md's *When it does not start* (`make chaos`)."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.support.waiting import LONGEST_SECONDS, START_SECONDS
from tests.system.odd_places import NAMES, OTHER_TOOLS, foreign_home, foreign_modules, under_umask
from tests.system.running import AGENT, Program

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another user's account, or a mount of its own")
MOUNTS = pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="agent-odd-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def answers(folder: Path, **settings: str) -> None:
    """A start, one message answered, and a clean end."""
    program = Program(folder, settings)
    program.start()
    try:
        assert program.insist("Hello", "m-1")["reply"]["text"]
    finally:
        program.stop()


@pytest.mark.parametrize("name", NAMES)
def test_a_data_folder(place: Path, name: str) -> None:
    answers(place / NAMES[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_temp_folder(place: Path, name: str) -> None:
    temporary = place / NAMES[name]
    temporary.mkdir(mode=0o711)

    answers(place / "data", TMPDIR=str(temporary), EPHEMERAL="1")


@pytest.mark.parametrize("name", OTHER_TOOLS)
def test_a_variable_of_another_tool(place: Path, name: str) -> None:
    answers(place / "data", **{name: OTHER_TOOLS[name]})


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1", "nonsense"])
def test_a_locale(place: Path, locale: str) -> None:
    answers(place / NAMES["letters"], LC_ALL=locale, LANG=locale)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_cannot_show_a_sign(place: Path, encoding: str) -> None:
    answers(place / NAMES["letters"], PYTHONIOENCODING=encoding, TERM="dumb")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077, 0o777], ids=oct)
def test_a_umask(place: Path, umask: int) -> None:
    (place / "data.out").touch()  # the test's own, which it must be able to read
    with under_umask(umask):
        answers(place / "data")


def test_a_home_with_profiles(place: Path) -> None:
    answers(place / "data", HOME=str(foreign_home(place / "home")))


@pytest.mark.parametrize("home", ["", "/nonexistent", "/proc"])
def test_a_home_that_is_none(place: Path, home: str) -> None:
    answers(place / "data", HOME=home)


def test_modules_called_as_ours(place: Path) -> None:
    answers(place / "data", PYTHONPATH=str(foreign_modules(place / "others")))


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0", "127.0.1.1"])
def test_a_host_of_this_machine(place: Path, host: str) -> None:
    answers(place / "data", HOST=host)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_ipv6_host(place: Path) -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"this machine has no ::1 ({error})")
    answers(place / "data", HOST="[::1]")


def refused(command: list[str], **settings: str) -> str:
    """The last line of a start that ends by itself; nothing before it is a traceback."""
    done = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, timeout=START_SECONDS
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "sqlalche.me" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"HOST": "x86_64-conda-linux-gnu"}, "HOST: got 'x86_64-conda-linux-gnu'"),
        ({"TEMPORAL_ADDRESS": "127.0.0.1:1", "START_SECONDS": "2"}, "TEMPORAL_ADDRESS: no Temporal answers"),
        ({"TEMPORAL_ADDRESS": "nosuch.invalid:7233"}, "nosuch.invalid is not known"),
        ({"DATABASE_URL": "postgresql://ana:hidden@127.0.0.1:1/x"}, "DATABASE_URL: postgresql://ana:…@127.0.0.1:1/x"),
        ({"DATABASE_URL": "postgresql://ana:hidden@nosuch.invalid/x"}, "DATABASE_URL: postgresql://ana:…@"),
        ({"ALL_PROXY": "junk://p:1", "PERPLEXITY_BASE_URL": "http://wrapper.internal"}, "ALL_PROXY: got 'junk://p:1'"),
    ],
)
def test_what_cannot_be_used_is_named(place: Path, settings: dict[str, str], words: str) -> None:
    line = refused([str(AGENT), "run"], DATA_DIR=str(place / "data"), PORT=str(free_port()), **settings)

    assert words in line
    assert "hidden" not in line


@AS_ROOT
def test_a_port_that_is_forbidden(place: Path) -> None:
    """Asked as an ordinary user, once all is imported: the interpreter here may lie in root's closed home."""
    low = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if int(low.read_text()) <= 80:
        pytest.skip(f"{low} lets everybody open port 80 here")
    nobody = pwd.getpwnam("nobody").pw_uid
    code = "import encodings.idna, os; from launch.ports import check_port; os.setuid({}); check_port('PORT', {!r}, 80)"
    drop = code.format(nobody, "127.0.0.1")
    done = subprocess.run(
        [sys.executable, "-c", drop], cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )

    assert "PORT: this user may not open port 80" in done.stderr
    assert "taken" not in done.stderr.splitlines()[-1]


@AS_ROOT
@MOUNTS
@pytest.mark.parametrize("umask", ["027", "077"])
def test_a_machine_without_the_folder_of_root(place: Path, umask: str) -> None:
    """A home of root that PostgreSQL's account may not enter, and an empty /var/lib."""
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    script = f"mount -t tmpfs tmpfs /var/lib && umask {umask} && exec timeout {START_SECONDS:g} {AGENT} run"
    environment = {**os.environ, "DATA_DIR": str(closed / "data"), "PORT": str(free_port())}
    with subprocess.Popen(
        ["unshare", "-m", "sh", "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        said = b""
        for line in process.stdout:
            said += line
            if line.startswith(b"READY"):
                break
        process.terminate()

    assert b"READY" in said, said.decode()


@AS_ROOT
@MOUNTS
def test_a_disk_that_is_full(place: Path) -> None:
    script = f"mount -t tmpfs -o size=20m tmpfs {place} && exec {AGENT} run"
    command = ["unshare", "-m", "sh", "-c", script]

    room = refused(command, DATA_DIR=str(place / "data"), PORT=str(free_port()))
    full = refused(command, DATA_DIR=str(place / "data"), PORT=str(free_port()), DISK_FREE_BYTES="0")

    assert "no room" in room
    assert "no space left on that disk; make room" in full
