"""Which channels a reply is sent over: one rule in Python, one function in the database, and they agree."""

from __future__ import annotations

from itertools import product
from uuid import UUID, uuid4

from schemas.actions import Confirmation
from schemas.channels import PUSH_CHANNELS, needs_delivery
from schemas.conversations import ApprovalDecision
from schemas.transitions import Event
from storage.actions import Actions, Told
from storage.outbox import Outbox
from storage.questions import Questions
from tests.api.test_questions import ask
from tests.system_in_process import System

NEXT = "telegraph"
"""A channel that nobody has made yet."""


async def test_python_and_the_database_send_over_the_same_channels(system: System) -> None:
    for channel, account in product((*PUSH_CHANNELS, "http", "web", NEXT, ""), ("15550783881", "twilio:1555", "")):
        row = await system.database.row(
            "SELECT needs_delivery(:channel, :account) AS said", {"channel": channel, "account": account}
        )
        assert row is not None
        assert row["said"] == needs_delivery(channel, account), (channel, account)


async def test_one_function_of_the_database_names_channels(system: System) -> None:
    rows = await system.database.rows(
        "SELECT p.proname AS name FROM pg_proc p, unnest(CAST(:channels AS text[])) AS channel"
        " WHERE p.pronamespace = 'public'::regnamespace AND p.prosrc LIKE '%''' || channel || '''%'"
        " UNION ALL SELECT v.viewname FROM pg_views v, unnest(CAST(:channels AS text[])) AS channel"
        " WHERE v.schemaname = 'public' AND v.definition LIKE '%''' || channel || '''%'",
        {"channels": [*PUSH_CHANNELS, "http"]},
    )
    assert [row["name"] for row in rows] == ["needs_delivery"]


async def test_all_words_leave_over_the_next_channel_once_the_database_knows_it(system: System) -> None:
    approval, expiring = await ask(system, Confirmation.STAFF, "lamp", "vase")
    row = await system.database.row(
        "UPDATE conversations SET channel = :next, account = 'T1' RETURNING id", {"next": NEXT}
    )
    assert row is not None
    conversation: UUID = row["id"]
    await system.database.rows(
        "CREATE OR REPLACE FUNCTION needs_delivery(p_channel text, p_account text) RETURNS boolean"
        f" LANGUAGE sql IMMUTABLE AS $$ SELECT p_channel IN ('whatsapp', '{NEXT}') AND p_account <> '' $$"
    )

    await Outbox(system.database).add(conversation, "Staff's words", message_id=uuid4(), author="agent")
    decision = ApprovalDecision(digest=approval["digest"], approved=False, conversation_id=conversation)
    decided = await Actions(system.database).decide(decision)
    assert decided is not None
    await Actions(system.database).tell(conversation, decided.action_id, Told(Event.DISAPPROVED, "A decision"))
    await system.database.rows("UPDATE actions SET expires_at = agent_now()")
    words = {"words": "An expiry", "note": "", "untold_note": ""}
    assert await Questions(system.database).expire(UUID(expiring["id"]), **words)

    said = await system.database.rows(
        "SELECT text, delivery FROM messages WHERE direction = 'out' AND channel = :next ORDER BY text", {"next": NEXT}
    )
    assert [tuple(row.values()) for row in said] == [
        ("A decision", "due"),
        ("An expiry", "due"),
        ("Staff's words", "due"),
    ]
