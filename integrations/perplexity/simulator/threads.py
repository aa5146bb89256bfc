"""What the simulator remembers: threads with their turns, and every question that was put. One SQLite file."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

_TABLES = """
CREATE TABLE IF NOT EXISTS threads (
    context_uuid TEXT PRIMARY KEY, slug TEXT UNIQUE NOT NULL, title TEXT NOT NULL,
    collection_uuid TEXT, account_name TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS turns (
    backend_uuid TEXT PRIMARY KEY, context_uuid TEXT NOT NULL, question TEXT NOT NULL,
    answer TEXT NOT NULL, topic TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS questions (
    id INTEGER PRIMARY KEY, at TEXT NOT NULL, text TEXT NOT NULL, thread TEXT, backend_uuid TEXT, account_name TEXT,
    collection_uuid TEXT, way TEXT NOT NULL, answer_only INTEGER NOT NULL, asked INTEGER NOT NULL, fault TEXT);
"""


@dataclass(frozen=True)
class Asking:
    """One call of query_sync or query_async, as it came."""

    text: str
    account_name: str
    way: str
    answer_only: bool
    backend_uuid: str | None
    frontend_context_uuid: str | None
    collection_uuid: str | None


@dataclass(frozen=True)
class PastTurn:
    """A question (the customer's words, without directives) and what was answered."""

    question: str
    answer: str
    topic: str


class Threads:
    """Kept under *folder*; survives a restart, also one by SIGKILL."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "simulator.sqlite3", isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def knows(self, backend_uuid: str) -> bool:
        return bool(self._rows("SELECT 1 FROM turns WHERE backend_uuid = ?", backend_uuid))

    def thread_of(self, asking: Asking) -> str:
        """The thread that *asking* goes on in: that of its `backend_uuid`, else the one it names, else a new one."""
        found = self._rows("SELECT context_uuid FROM turns WHERE backend_uuid = ?", asking.backend_uuid)
        return found[0]["context_uuid"] if found else asking.frontend_context_uuid or str(uuid4())

    def history(self, context_uuid: str) -> list[PastTurn]:
        rows = self._rows("SELECT * FROM turns WHERE context_uuid = ? ORDER BY rowid", context_uuid)
        return [PastTurn(row["question"], row["answer"], row["topic"]) for row in rows]

    def add_turn(self, asking: Asking, context_uuid: str, turn: PastTurn) -> tuple[str, str]:
        """Keeps the turn; gives its new backend_uuid and the thread's slug."""
        title = turn.question[:120] or "…"
        self._db.execute(
            "INSERT INTO threads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (context_uuid, _slug(title), title, asking.collection_uuid, asking.account_name, _now()),
        )
        backend_uuid = str(uuid4())
        values = (backend_uuid, context_uuid, turn.question, turn.answer, turn.topic, _now())
        self._db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)", values)
        slug = self._rows("SELECT slug FROM threads WHERE context_uuid = ?", context_uuid)[0]["slug"]
        return backend_uuid, slug

    def record(self, asking: Asking, *, asked: bool, fault: str | None) -> None:
        values = (
            *(_now(), asking.text, asking.frontend_context_uuid, asking.backend_uuid, asking.account_name),
            *(asking.collection_uuid, asking.way, asking.answer_only, asked, fault),
        )
        self._db.execute(f"INSERT INTO questions VALUES (NULL{', ?' * len(values)})", values)

    def times_asked(self, asking: Asking) -> int:
        """How often the same text was put in the same thread, asked or not."""
        query = "SELECT count(*) AS n FROM questions WHERE text = ? AND thread IS ?"
        return int(self._rows(query, asking.text, asking.frontend_context_uuid)[0]["n"])

    def questions(self, thread: str | None = None) -> list[dict[str, Any]]:
        """Every question since the last DELETE, oldest first; `asked` says whether upstream would have seen it."""
        rows = self._rows("SELECT * FROM questions WHERE ?1 IS NULL OR thread = ?1 ORDER BY id", thread)
        return [
            {**row, "answer_only": bool(row["answer_only"]), "asked": bool(row["asked"])} for row in map(dict, rows)
        ]

    def forget_questions(self) -> None:
        self._db.execute("DELETE FROM questions")

    def listed(self, limit: int, offset: int, search: str = "", collection: str | None = None) -> list[dict[str, Any]]:
        """Threads in the wrapper's own list shape, newest first."""
        rows = self._rows(
            "SELECT * FROM threads WHERE title LIKE ? AND (? IS NULL OR collection_uuid = ?)"
            " ORDER BY rowid DESC LIMIT ? OFFSET ?",
            *(f"%{search}%", collection, collection, limit, offset),
        )
        return [
            {
                "uuid": row["context_uuid"],
                "context_uuid": row["context_uuid"],
                "frontend_context_uuid": row["context_uuid"],
                "slug": row["slug"],
                "title": row["title"],
                "last_query_datetime": row["created_at"],
            }
            for row in rows
        ]

    def entries(self, slug: str) -> list[dict[str, Any]] | None:
        """The turns of one thread, None if there is no such slug."""
        found = self._rows("SELECT context_uuid FROM threads WHERE slug = ?", slug)
        if not found:
            return None
        rows = self._rows("SELECT * FROM turns WHERE context_uuid = ? ORDER BY rowid", found[0]["context_uuid"])
        return [
            {
                "backend_uuid": row["backend_uuid"],
                "frontend_context_uuid": row["context_uuid"],
                "query_str": row["question"],
                "answer": row["answer"],
                "updated_datetime": row["at"],
                "thread_url_slug": slug,
            }
            for row in rows
        ]

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self._db.execute(query, values).fetchall()


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _slug(title: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:32]
    return f"{words or 'thread'}-{uuid4().hex[:22]}"
