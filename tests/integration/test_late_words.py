"""What is stored for a customer who is erased already is stored without the words: each table's trigger, by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.dialects.postgresql import JSONB

from storage.database import Database
from storage.sql_files import FOLDER
from storage.tables import metadata
from tests.servers import fresh_database

_ID = UUID(int=1)
SECRET = "Zanzibar"
"""In every word that must not be stored."""


@dataclass(frozen=True)
class Late:
    """A row that comes late. *words*: each of its columns that holds a word or tells a name, by itself."""

    table: str
    words: str
    others: dict[str, Any]


LATE = {
    "messages": Late(
        "messages",
        "text meta sources content_hash channel_message_id",
        {"direction": "out", "author": "assistant", "channel": "http", "id_scope": ""},
    ),
    "raw_outputs": Late("raw_outputs", "text details errors notes explanation", {"turn_id": _ID, "attempt": 1}),
    "actions": Late(
        "actions",
        "reason metadata digest request_hash",
        {"turn_id": _ID, "name": "x", "status": "accepted", "effect_key": "k", "assistant": "default"},
    ),
    "effects": Late("effects", "request result error request_hash", {"key": "k", "kind": "action:x"}),
    "parts": Late("effects", "request external_id error result", {"key": "k", "kind": "part", "message_id": _ID}),
    "tickets": Late("tickets", "subject description category", {"effect_key": "k"}),
    "handoffs": Late("handoffs", "reason details", {"team": "support", "opened_by": "bot"}),
    "stream_events": Late("stream_events", "text", {"first_seq": 1, "last_seq": 1, "n": 1, "kind": "chunk"}),
    "media": Late(
        "media",
        "filename channel_media_id announced_sha256",
        {"message_id": _ID, "n": 0, "channel": "whatsapp", "account": "", "mime_type": "image/png"},
    ),
}
_CONVERSATION = (
    "INSERT INTO customers (id) VALUES (:id)",
    "INSERT INTO conversations (id, customer_id, channel, workflow_id) VALUES (:id, :id, 'http', 'w')",
    "INSERT INTO messages (id, conversation_id, direction, author, channel, id_scope, text) "
    "VALUES (:id, :id, 'out', 'assistant', 'http', '', '')",
    "INSERT INTO turns (id, conversation_id, first_seq, last_seq, status) VALUES (:id, :id, 1, 1, 'claimed')",
)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(await fresh_database(postgres_url, f"late_{uuid4().hex}"))
    yield database
    await database.close()


async def a_conversation(database: Database, *, erased: bool) -> None:
    """With a message and a turn, all of one id."""
    for statement in _CONVERSATION:
        await database.rows(statement, {"id": _ID})
    if erased:
        await database.rows("UPDATE customers SET erased_at = agent_now()")


async def comes_late(database: Database, late: Late) -> dict[str, Any]:
    """The row as it is stored: those of its columns that came with words."""
    columns = metadata.tables[late.table].columns
    words = {name: {"who": SECRET} if isinstance(columns[name].type, JSONB) else SECRET for name in late.words.split()}
    async with database.engine.connect() as connection:
        row = {"conversation_id": _ID, **late.others, **words}
        inserted = metadata.tables[late.table].insert().values(row).returning(*(columns[name] for name in words))
        return dict((await connection.execute(inserted)).mappings().one())


def told(row: dict[str, Any]) -> list[str]:
    return [name for name, value in row.items() if SECRET in str(value)]


@pytest.mark.parametrize("name", LATE)
async def test_words_of_an_erased_customer_are_not_stored(database: Database, name: str) -> None:
    await a_conversation(database, erased=True)

    assert told(await comes_late(database, LATE[name])) == []


@pytest.mark.parametrize("name", LATE)
async def test_words_of_anybody_else_are_stored(database: Database, name: str) -> None:
    await a_conversation(database, erased=False)

    assert told(await comes_late(database, LATE[name])) == LATE[name].words.split()


async def test_a_part_that_comes_back_tells_no_number(database: Database) -> None:
    await a_conversation(database, erased=True)
    await comes_late(database, LATE["parts"])

    [part] = await database.rows(
        "UPDATE effects SET external_id = :said, request = to_jsonb(CAST(:said AS text)),"
        " error = to_jsonb(CAST(:said AS text)), result = jsonb_build_object('copies', CAST(:said AS text))"
        " RETURNING external_id, request, error, result",
        {"said": SECRET},
    )

    assert told(dict(part)) == []


async def test_a_file_of_an_erased_customer_is_not_fetched(database: Database) -> None:
    await a_conversation(database, erased=True)
    await comes_late(database, LATE["media"])

    assert [row["status"] for row in await database.rows("SELECT status FROM media")] == ["refused"]


@pytest.mark.parametrize("path", sorted((FOLDER / "triggers").glob("*.sql")), ids=lambda path: path.name)
def test_each_such_trigger_is_tried(path: Path) -> None:
    assert ("blank_if_erased(" in path.read_text()) == (path.stem in {late.table for late in LATE.values()})
