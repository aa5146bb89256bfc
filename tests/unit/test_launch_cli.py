"""`agent …` where nothing runs: one line for what is missing, and a doctor who tells.

Most of it is said in this process; each kind of end has one of its own.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

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


def test_a_port_that_is_not_used_is_not_looked_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as temporal:
        port = str(temporal.getsockname()[1])
        done = agent_here(tmp_path, "doctor", TEMPORAL_ADDRESS=f"127.0.0.1:{port}", TEMPORAL_PORT=port)

    assert "TEMPORAL_PORT" not in done.stdout


def test_a_wrapper_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    done = agent_here(tmp_path, "doctor", PERPLEXITY_BASE_URL="http://ana:hidden@127.0.0.1:9")

    assert "Perplexity wrapper: PERPLEXITY_BASE_URL: no wrapper answers at http://…@127.0.0.1:9 (" in done.stdout
    assert "hidden" not in done.stdout


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
