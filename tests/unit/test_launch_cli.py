"""`agent …` where nothing runs: one line for what is missing, and a doctor who tells.

Most of it is said in this process; each kind of end has one of its own.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from launch.records import write_record
from tests.commands import agent, agent_here

pytestmark = pytest.mark.processes

NOWHERE = "postgresql://user@127.0.0.1:1/nobody-listens"


@pytest.mark.parametrize("command", ["api", "worker", "migrate"])
def test_a_command_that_finds_no_database(tmp_path: Path, command: str) -> None:
    done = agent_here(tmp_path, command)

    assert done.returncode == 2
    assert done.stderr.startswith("agent: DATABASE_URL: not set, and no `agent run` is running in DATA_DIR")
    assert len(done.stderr.splitlines()) == 1


def test_a_setting_of_env_file_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=80000\nAPI_KEY=secret\n")

    done = agent(tmp_path, "doctor")

    assert done.returncode == 2
    assert done.stderr.startswith("agent: PORT: got '80000'")
    assert len(done.stderr.splitlines()) == 1


def test_the_doctor_finds_nothing_wrong_where_nothing_runs(tmp_path: Path) -> None:
    done = agent(tmp_path, "doctor")

    assert done.returncode == 0, done.stdout
    assert "wrong" not in done.stdout
    assert "PostgreSQL: not running" in done.stdout


def test_the_doctor_names_what_is_wrong(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = agent(tmp_path, "doctor", PORT=port, DISK_FREE_BYTES=str(10**18), TEMPORAL_ADDRESS=f"127.0.0.1:{port}")

    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("wrong")]
    assert [line.split()[1].rstrip(":") for line in wrong] == ["Disk", "PORT", "Temporal"]


REFUSED_BY_THE_START = {
    "HOST": ({"HOST": "x86_64-conda-linux-gnu"}, "no address of this machine"),
    "TEMPORAL_PORT": ({"PORT": "18998", "TEMPORAL_PORT": "18998"}, "got 18998, as PORT did"),
    "DATA_DIR": ({"DATA_DIR": "/proc/x", "MEDIA_DIR": "."}, "/proc/x cannot be written to"),
    "MEDIA_DIR": ({"MEDIA_DIR": "/proc/x"}, "/proc/x cannot be written to"),
}


@pytest.mark.parametrize(("setting", "settings", "words"), [(n, *case) for n, case in REFUSED_BY_THE_START.items()])
def test_the_doctor_sees_what_the_start_refuses(
    tmp_path: Path, setting: str, settings: dict[str, str], words: str
) -> None:
    done = agent_here(tmp_path, "doctor", DISK_FREE_BYTES="0", **settings)

    assert done.returncode == 1, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("wrong")]
    assert line.startswith(f"wrong {setting}: ")
    assert words in line


HALF = {"TEMPORAL_API_KEY": "hidden", "WHATSAPP_ACCESS_TOKEN": "hidden", "TWILIO_AUTH_TOKEN": "hid\nden"}


@pytest.mark.parametrize(("name", "value"), [*HALF.items(), ("TOKIO_WORKER_THREADS", "0")])
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_what_can_never_work_is_told_at_once(tmp_path: Path, command: str, name: str, value: str) -> None:
    said = agent if name == "TOKIO_WORKER_THREADS" else agent_here  # which a library reads at the process's start
    done = said(tmp_path, command, **{name: value})

    assert done.returncode == 2
    assert done.stderr.startswith(f"agent: {name}: ")
    assert len(done.stderr.splitlines()) == 1
    assert "hid" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("PROMETHEUS_MULTIPROC_DIR", "/nowhere/x"), ("MEDIA_DIR", "/proc/x"), ("HOST", "224.0.0.1")]
)
def test_a_part_that_could_not_work_is_told_at_once(tmp_path: Path, name: str, value: str) -> None:
    part = "api" if name == "HOST" else "worker"
    said = agent if name == "PROMETHEUS_MULTIPROC_DIR" else agent_here
    done = said(tmp_path, part, DATABASE_URL=NOWHERE, PERPLEXITY_BASE_URL="http://127.0.0.1:9", **{name: value})

    assert done.returncode == 2
    assert done.stderr.startswith(f"agent: {name}: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("part", ["api", "worker"])
def test_a_database_that_can_never_be_reached_is_not_waited_for(tmp_path: Path, part: str) -> None:
    url = "postgresql://ana:hidden@127.0.0.1:9/d?sslmode=bogus"
    done = agent_here(tmp_path, part, DATABASE_URL=url, PERPLEXITY_BASE_URL="http://127.0.0.1:9")

    assert done.returncode == 2
    assert done.stderr.startswith("agent: DATABASE_URL: postgresql://ana:…@127.0.0.1:9/d?sslmode=bogus: the parameter")
    assert len(done.stderr.splitlines()) == 1


def test_addresses_that_a_killed_start_left_are_no_running_system(tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    (data / "addresses.json").write_text('{"database_url": "postgresql:///x?host=/nowhere", "temporal": "127.0.0.1:9"}')
    (data / "processes.json").write_text(json.dumps({str(os.getpid()): 1.0}))  # its pid is another program's by now

    done = agent_here(tmp_path, "doctor")

    assert done.returncode == 0, done.stdout
    assert "PostgreSQL: not running" in done.stdout
    assert "the system runs" not in done.stdout


COMMANDS = ["api", "worker", "migrate", "backup copy.dump", "assistant show", "conversation reset c-1"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_asks_who_listens_where_a_killed_start_was(tmp_path: Path, command: str) -> None:
    (data := tmp_path / "data").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        left = {"database_url": f"postgresql://a@127.0.0.1:{port}/b", "temporal": f"127.0.0.1:{port}"}
        (data / "addresses.json").write_text(json.dumps(left))
        done = agent_here(tmp_path, *command.split())
        somebody.setblocking(False)
        with pytest.raises(BlockingIOError):
            somebody.accept()

    told = (
        f"DATABASE_URL: not set, and no `agent run` is running in DATA_DIR ({data}), though one that was killed left "
    )
    assert done.returncode == 2
    assert done.stderr == f"agent: {told}addresses.json there; start it, or set DATABASE_URL\n"


def test_a_port_that_is_not_used_is_not_looked_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as temporal:
        port = str(temporal.getsockname()[1])
        done = agent_here(tmp_path, "doctor", TEMPORAL_ADDRESS=f"127.0.0.1:{port}", TEMPORAL_PORT=port)

    assert "TEMPORAL_PORT" not in done.stdout


def test_a_wrapper_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    done = agent_here(tmp_path, "doctor", PERPLEXITY_BASE_URL="http://ana:hidden@127.0.0.1:9")

    assert "Perplexity wrapper: PERPLEXITY_BASE_URL: no wrapper answers at http://…@127.0.0.1:9 (" in done.stdout
    assert "hidden" not in done.stdout


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("HTTP_PROXY", "http"), ("HTTPS_PROXY", "https"), ("ALL_PROXY", "http"), ("all_proxy", "https")],
)
def test_the_doctor_names_the_proxy_that_stands_before_the_wrapper(tmp_path: Path, name: str, scheme: str) -> None:
    kind = "socks5" if name == "ALL_PROXY" else "http"
    proxy, wrapper = f"{kind}://bob:hid@127.0.0.1:9", f"{scheme}://ana:hidden@wrapper.internal"
    done = agent_here(tmp_path, "doctor", **{name: proxy}, PERPLEXITY_BASE_URL=wrapper)

    through = f"at {scheme}://…@wrapper.internal, through {name} {kind}://…@127.0.0.1:9 ("
    assert f"wrong Perplexity wrapper: PERPLEXITY_BASE_URL: no wrapper answers {through}" in done.stdout
    assert not any(piece in done.stderr + done.stdout for piece in ("hid", "ana", "bob"))


def test_a_proxy_that_speaks_another_protocol_ends_no_doctor(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=_refuse, args=(other,), daemon=True).start()
        proxy = f"socks5h://bob:hid@127.0.0.1:{other.getsockname()[1]}"
        done = agent(tmp_path, "doctor", ALL_PROXY=proxy, PERPLEXITY_BASE_URL="http://wrapper.internal")

    assert "through ALL_PROXY socks5h://…@127.0.0.1" in done.stdout, done.stderr
    assert "(Malformed reply)" in done.stdout
    assert "hid" not in done.stdout


def _refuse(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(1_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("command", ["api", "doctor"])
@pytest.mark.parametrize("proxy", ["http://ana:hid/den@proxy.internal:3128", "ana:hidden@proxy.internal:99999"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(tmp_path: Path, command: str, proxy: str) -> None:
    done = agent_here(tmp_path, command, https_proxy=proxy, PERPLEXITY_BASE_URL="http://wrapper.internal")

    assert done.returncode == 2
    assert "https_proxy: got '" in done.stderr
    assert not any(piece in done.stderr + done.stdout for piece in ("hid", "den", "ana"))


@pytest.mark.parametrize("content", ["{", '{"temporal": 5, "database_url": []}', '{"perplexity": "ftp://x"}'])
def test_a_damaged_list_of_addresses_is_no_traceback(tmp_path: Path, content: str) -> None:
    (data := tmp_path / "data").mkdir()
    (data / "addresses.json").write_text(content)
    write_record(data / "processes.json", [os.getpid()])

    done = agent_here(tmp_path, "migrate")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert str(data) in done.stderr


UNREADABLE = {"nothing": "there is no such file", "folder": "is a folder"}


@pytest.mark.parametrize(("name", "why"), UNREADABLE.items())
@pytest.mark.parametrize("command", ["restore", "assistant apply"])
def test_a_file_that_cannot_be_read_is_told_with_what_to_name(
    tmp_path: Path, command: str, name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()

    done = agent_here(tmp_path, *command.split(), name, DATABASE_URL=NOWHERE)

    assert done.returncode == 2
    assert done.stderr.startswith(f"agent: {name}: {why}; name a file that `agent ")
    assert len(done.stderr.splitlines()) == 1


def test_a_configuration_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_bytes(b"\xff\xfe")

    done = agent_here(tmp_path, "assistant", "apply", "bot.yaml", DATABASE_URL=NOWHERE)

    told = "agent: bot.yaml: is not UTF-8; name a file that `agent assistant show > bot.yaml` wrote\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.parametrize("content", [b"", b"PGDM", b"# Perplexity Agent\n"])
def test_what_is_no_copy_is_not_restored(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "README.md").write_bytes(content)

    done = agent_here(tmp_path, "restore", "README.md", DATABASE_URL=NOWHERE)

    told = "agent: README.md: is no copy that `agent backup` wrote; name one that is. The database is as it was\n"
    assert (done.returncode, done.stderr) == (2, told)


def test_a_copy_is_not_read_from_a_pipe(tmp_path: Path) -> None:
    done = agent(tmp_path, "restore", "/dev/stdin", answer="PGDMP", DATABASE_URL=NOWHERE)

    told = "agent: /dev/stdin: is a pipe, and `pg_restore` reads twice; name a file that `agent backup` wrote\n"
    assert (done.returncode, done.stderr) == (2, told)
