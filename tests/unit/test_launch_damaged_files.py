"""Damaged files of DATA_DIR: what can be made anew is, what cannot is named in one line, nothing is overwritten."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from config.settings import Settings
from launch.failures import LaunchError
from launch.files import read_json
from launch.keys import find_keys
from launch.logs import in_words
from launch.records import is_running, kill_orphaned_parts, write_record
from launch.temporal_file import move_aside_if_damaged
from tests.support.waiting import LONGEST_SECONDS

TABLES = {
    "namespaces": "partition_id, id, name, notification_version, data, data_encoding, is_global",
    "executions": "shard_id, namespace_id, workflow_id, run_id, next_event_id, data, data_encoding, state",
    "current_executions": "shard_id, namespace_id, workflow_id, run_id, status",
    "history_node": "shard_id, tree_id, branch_id, node_id, txn_id, data",
    "executions_visibility": "namespace_id, run_id, workflow_id, status, search_attributes",
}
NAMESPACE = b"\n1\n$01a2175e-ee67-739f-adec-9ca490bdf76b\x10\x01\x1a\x07default\x12\n\n\x04\x08\x80\xa3\x05"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """As Temporal leaves one: its tables, and more than a page in one of them."""
    path = tmp_path / "data % ü?#" / "temporal.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        for table, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {table} ({columns})")
        connection.execute("INSERT INTO namespaces (name, data) VALUES ('default', ?)", [NAMESPACE])
        connection.executemany(
            "INSERT INTO executions (workflow_id, data) VALUES (?, ?)", [(str(n), b"x" * 500) for n in range(2_000)]
        )
        connection.commit()
    return path


def settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder)  # type: ignore[call-arg]


def test_a_whole_file_and_one_that_is_not_there_stay(file: Path) -> None:
    assert move_aside_if_damaged(file) is None
    assert file.exists()
    assert move_aside_if_damaged(file.with_name("new.sqlite")) is None


def garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 400)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:40_000])


def scribbled(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[8_192:200_000] = b"\xaa" * (200_000 - 8_192)
    file.write_bytes(content)


def half_made(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP TABLE executions_visibility")


def of_another_layout(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("ALTER TABLE executions RENAME TO x")
        connection.execute("CREATE TABLE executions (a)")
        connection.commit()


def with_a_namespace_overwritten(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE namespaces SET data = x'00ff'")
        connection.commit()


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "damage",
    [garbage, empty, truncated, scribbled, half_made, of_another_layout, with_a_namespace_overwritten, folder],
)
def test_a_damaged_one_is_moved_aside_and_told(file: Path, damage: object) -> None:
    damage(file)  # type: ignore[operator]
    file.with_name("temporal.sqlite-wal").write_bytes(b"of the old one")

    told = move_aside_if_damaged(file)

    assert told is not None
    assert str(file) in told
    assert "temporal.sqlite.damaged-1" in told
    assert len(told.splitlines()) == 1
    assert not file.exists()
    assert file.with_name("temporal.sqlite.damaged-1").exists()
    assert not file.with_name("temporal.sqlite-wal").exists()


def test_an_earlier_one_aside_stays(file: Path) -> None:
    earlier = file.with_name("temporal.sqlite.damaged-1")
    earlier.write_text("kept")
    garbage(file)

    assert "temporal.sqlite.damaged-2" in (move_aside_if_damaged(file) or "")
    assert earlier.read_text() == "kept"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b'{"secret_key": 5}', b'{"api_key": ""}'])
def test_damaged_secrets_are_never_replaced_by_new_ones(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "secrets.json").write_bytes(content)

    with pytest.raises(LaunchError, match=r"secrets\.json") as refused:
        find_keys(settings(tmp_path), path)

    assert len(str(refused.value).splitlines()) == 1
    assert path.read_bytes() == content


def test_secrets_of_an_earlier_version_get_what_is_missing(tmp_path: Path) -> None:
    (path := tmp_path / "secrets.json").write_text(json.dumps({"api_key": "pa_1", "secret_key": "s"}))

    keys = find_keys(settings(tmp_path), path)

    assert (keys.api_key, keys.secret_key) == ("pa_1", "s")
    assert keys.verify_token == read_json(path)["verify_token"]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own that any signal would end."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    yield process
    process.kill()
    process.communicate(timeout=LONGEST_SECONDS)


DAMAGED = [
    "\xff",
    "[PID]",
    '{"PID": "x"}',
    '{"PID": null}',
    '{"PID": {"started": STARTED}}',
    '{"PID": NaN}',
    '{"PID": true}',
    '{"PID": 1}',
    '{"-PID": STARTED}',
    '{" PID": STARTED}',
    '{"PID.0": STARTED}',
    '{"PIDe0": STARTED}',
    '{"PID": STARTED',
]


@pytest.mark.processes
@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_list_of_processes_ends_nobody(tmp_path: Path, child: subprocess.Popen[bytes], damaged: str) -> None:
    (path := tmp_path / "processes.json").write_text(filled_in(damaged, child), encoding="latin-1")

    kill_orphaned_parts(path, settings(tmp_path).model_copy(update={"stop_seconds": 1.0}))

    assert child.poll() is None


@pytest.mark.processes
def test_a_whole_one_ends_whom_it_names(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    (path := tmp_path / "processes.json").write_text(filled_in('{"PID": STARTED}', child))

    kill_orphaned_parts(path, settings(tmp_path).model_copy(update={"stop_seconds": 1.0}))

    assert child.poll() is not None


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[Path]:
    """What the kernel tells, as a folder whose files can be others."""
    (folder := tmp_path / "proc").mkdir()
    for name in (*(path.name for path in Path("/proc").iterdir() if path.name.isdecimal()), "stat"):
        (folder / name).symlink_to(f"/proc/{name}")
    psutil.PROCFS_PATH = str(folder)
    yield folder
    psutil.PROCFS_PATH = "/proc"


def test_parts_are_known_again_after_the_clock_was_set(tmp_path: Path, proc: Path) -> None:
    write_record(record := tmp_path / "processes.json", [os.getpid()])
    later = psutil.boot_time() + 3600
    (proc / "stat").unlink()
    (proc / "stat").write_text(f"btime {later:.0f}\n")

    assert is_running(record)


def test_the_same_pid_after_another_start_of_the_machine_is_another_process(tmp_path: Path) -> None:
    write_record(record := tmp_path / "processes.json", [os.getpid()])
    record.write_text(json.dumps(read_json(record) | {"boot": "4c3a9b52-8d1e-4f0a-9c77-1f2e3d4c5b6a"}))

    assert not is_running(record)


@pytest.mark.processes
def test_one_part_that_is_gone_does_not_hide_the_others(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    write_record(record := tmp_path / "processes.json", [child.pid, os.getpid()])
    child.kill()
    child.wait(LONGEST_SECONDS)

    assert is_running(record)


def filled_in(text: str, child: subprocess.Popen[bytes]) -> str:
    """*text* as the whole record, or with the one of this machine's start."""
    started = psutil.Process(child.pid).create_time() - psutil.boot_time()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    text = text.replace("{", f'{{"boot": "{boot}", ', 1)
    return text.replace("PID", str(child.pid)).replace("STARTED", repr(started))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            '{"event": "temporal_away", "why": "it cannot be connected to", "level": "warning"}',
            "temporal_away: it cannot",
        ),
        ('{"event": "worker_ready"}', "worker_ready"),
        ('{"cut": ', '{"cut": '),
        ("plain words", "plain words"),
    ],
)
def test_a_log_line_of_ours_is_quoted_in_words(line: str, told: str) -> None:
    assert in_words(line).startswith(told)
