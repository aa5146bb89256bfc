"""The dev server's file: one that cannot be used is moved aside, and Temporal begins with a new one.

Nothing is lost by that: conversations, messages and replies are in PostgreSQL. A conversation begins a new run with
its next message, or when the sweep finds something that waits, and reads there where it stands.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_COLUMNS = {
    "namespaces": {"id", "name", "data", "data_encoding"},
    "executions": {"shard_id", "namespace_id", "workflow_id", "run_id", "data", "state"},
    "current_executions": {"shard_id", "namespace_id", "workflow_id", "run_id", "status"},
    "history_node": {"shard_id", "tree_id", "branch_id", "node_id", "txn_id", "data"},
    "executions_visibility": {"namespace_id", "run_id", "workflow_id", "status", "search_attributes"},
}
"""Of the tables that every workflow needs, columns that all of Temporal's versions for SQLite have."""

_NAMELESS = "SELECT count(*) FROM namespaces WHERE instr(data, CAST(name AS BLOB)) = 0"
"""A namespace's record holds its name; Temporal does not find one whose record cannot be read."""

_CHECK_SECONDS = 2.0
"""A big file that has shown no damage by then is taken for whole."""

_STEPS_BETWEEN_LOOKS = 10_000
_BESIDE = ("-wal", "-shm")
_ASIDE_AT_MOST = 100


def move_aside_if_damaged(file: Path) -> str | None:
    """What was done and why, as one line; None where there is nothing wrong. Raises OSError."""
    damage = _damage_of(file)
    if damage is None:
        return None
    aside = next(place for place in _places_aside(file) if not place.exists())
    file.rename(aside)
    for suffix in _BESIDE:
        beside = file.with_name(file.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    return (
        f"{file} {damage}: moved to {aside.name}, Temporal begins with a new one."
        " Conversations are in PostgreSQL and go on; remove the old file when you like"
    )


def _damage_of(file: Path) -> str | None:
    if file.is_dir():
        return "is a folder"
    if not file.exists():
        return None
    if not file.is_file():
        return "is a pipe, socket or device"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True)) as connection:
            return _found_in(connection)
    except sqlite3.DatabaseError as error:
        if "readonly" in str(error) or "unable to open" in str(error) or "locked" in str(error):
            return None  # no damage of the file; Temporal will say what it meets
        return f"is damaged ({error})"


def _found_in(connection: sqlite3.Connection) -> str | None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables >= set(_COLUMNS):
        return "is not whole (tables of Temporal are missing)"
    if other := [table for table, needed in _COLUMNS.items() if not _columns_of(connection, table) >= needed]:
        return f"is of another layout than Temporal's (table {other[0]})"
    if connection.execute(_NAMELESS).fetchone()[0]:
        return "is damaged (the record of a namespace)"
    deadline = time.monotonic() + _CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return None
        raise
    return None if said == "ok" else f"is damaged ({' '.join(str(said).split())[:100]})"


def _columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _places_aside(file: Path) -> list[Path]:
    return [file.with_name(f"{file.name}.damaged-{number}") for number in range(1, _ASIDE_AT_MOST)]
