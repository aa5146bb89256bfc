"""`agent …` where nothing runs: one line for what is missing, and a doctor who tells."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

AGENT = Path(sys.executable).with_name("agent")
OURS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "PERPLEXITY_BASE_URL", "PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")


def agent(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run in *folder*, away from any `.env`, with the data folder there."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    environment = {**kept, "DATA_DIR": str(folder / "data"), **settings}
    return subprocess.run([AGENT, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("command", ["api", "worker", "migrate"])
def test_a_command_that_finds_no_database(tmp_path: Path, command: str) -> None:
    done = agent(tmp_path, command)

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


def test_a_wrapper_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    done = agent(tmp_path, "doctor", PERPLEXITY_BASE_URL="http://ana:hidden@127.0.0.1:9")

    assert "Perplexity wrapper: http://…@127.0.0.1:9 does not answer" in done.stdout
    assert "hidden" not in done.stdout


@pytest.mark.parametrize("command", ["api", "doctor"])
@pytest.mark.parametrize("proxy", ["http://ana:hid/den@proxy.internal:3128", "ana:hidden@proxy.internal:99999"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(tmp_path: Path, command: str, proxy: str) -> None:
    done = agent(tmp_path, command, https_proxy=proxy, PERPLEXITY_BASE_URL="http://wrapper.internal")

    assert done.returncode == 2
    assert "https_proxy: got '" in done.stderr
    assert not any(piece in done.stderr + done.stdout for piece in ("hid", "den", "ana"))


@pytest.mark.parametrize("content", ["{", '{"temporal": 5, "database_url": []}', '{"perplexity": "ftp://x"}'])
def test_a_damaged_list_of_addresses_is_no_traceback(tmp_path: Path, content: str) -> None:
    (data := tmp_path / "data").mkdir()
    (data / "addresses.json").write_text(content)

    done = agent(tmp_path, "migrate")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert str(data) in done.stderr
