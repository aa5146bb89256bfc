"""Export and erasure on a real PostgreSQL: what is handed out, what goes, what stays, and what comes too late."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from storage.erasure import Busy, Erased, Erasure
from storage.exports import Exports
from storage.tables import metadata
from tests.incoming import incoming
from tests.support.attempts import activities, answer, stored
from tests.support.stopping_database import DatabaseStop
from tests.support.waiting import within
from tests.system_in_process import System, running_system

SECRET = "Zanzibar"
"""Part of every word that must go, and in the customer's name."""
CUSTOMER = f"c-{SECRET}"
TICKET = {"subject": f"Lamp of {SECRET}", "description": f"{SECRET} is broken", "category": SECRET}


MOMENTS = {
    "its claim": "INSERT INTO turns",
    "the commit of its answer": "commit_id = :commit_id",
    "the claim of its effect": "owned.may_begin",
    "its ticket": "INSERT INTO tickets",
    "its effect's outcome": "SET status = CASE WHEN e.status IN ('sending', 'unknown')",
}
"""What a turn is at, and a piece of the statement by which it stores that."""


def output(action: str, **metadata: Any) -> str:
    return json.dumps({"action": action, "reason": f"Asked by {SECRET}", "metadata": metadata})


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


async def customer_of(system: System, customer: str = CUSTOMER) -> UUID:
    session = await system.session(customer)
    return await Erasure(system.database).customer_of(UUID(session["conversation_id"]))


async def erase(system: System, customer_id: UUID, *, force: bool = False) -> Erased:
    return await Erasure(system.database).erase(customer_id, actor="user test", force=force)


async def tables_with_words(system: System) -> list[str]:
    """Every table in which the secret still stands, whatever the column."""
    found = []
    for table in metadata.tables:
        rows = await system.database.rows(f"SELECT to_jsonb({table})::text AS row FROM {table}")
        found += [table for row in rows if SECRET in row["row"]]
    return sorted(set(found))


async def a_full_conversation(system: System) -> None:
    """Words, a ticket, an output that cannot be used, a handoff."""
    for text in (f"I am {SECRET}", output("create_ticket", **TICKET), output("fly"), f"Sorry, {SECRET}"):
        system.perplexity.scripts.append(text)
    for _ in range(3):
        await system.send(f"Hello from {SECRET}", customer=CUSTOMER)
    body = {"state": "human_handoff", "reason": f"{SECRET} is angry"}
    await system.http.post(f"/api/session/{CUSTOMER}/state", json=body)


async def record(system: System) -> list[Any]:
    """What must survive an erasure, in one list."""
    kept = {
        "turns": "first_seq, last_seq, status, verdict, finished_at, backend_uuid",
        "threads": "frontend_context_uuid, backend_uuid, thread_url_slug, account_name, turns",
        "messages": "seq, direction, author, stored_at",
        "raw_outputs": "attempt, purpose, verdict, backend_uuid",
        "effects": "key, kind, status, external_id",
        "tickets": "number, status, priority, created_at",
        "conversations": "id, workflow_id, newest_seq, cursor, turns",
    }
    statements = [f"SELECT {columns} FROM {table} ORDER BY id" for table, columns in kept.items() if table != "threads"]
    statements.append(f"SELECT {kept['threads']} FROM threads ORDER BY 1")
    return [[dict(row) for row in await system.database.rows(statement)] for statement in statements]


async def test_words_and_names_go_and_the_record_stays(system: System) -> None:
    await a_full_conversation(system)
    assert {"messages", "raw_outputs", "actions", "effects", "tickets", "handoffs"} < set(
        await tables_with_words(system)
    )
    before = await record(system)

    erased = await erase(system, await customer_of(system))

    assert erased.messages == 6
    assert await tables_with_words(system) == []
    assert await record(system) == before
    [noted] = await system.database.rows("SELECT actor, details FROM audit WHERE deed = 'customer.erased'")
    assert (noted["actor"], noted["details"]) == ("user test", {"messages": 6, "given_up": False})


async def test_erasing_twice_changes_nothing(system: System) -> None:
    await system.send("Hello", customer=CUSTOMER)
    customer = await customer_of(system)
    await erase(system, customer)
    before = await system.database.rows("SELECT erased_at FROM customers")

    again = await asyncio.gather(*(erase(system, customer) for _ in range(3)))

    assert all(each.again for each in again)
    assert await system.database.rows("SELECT erased_at FROM customers") == before
    assert len(await system.database.rows("SELECT 1 FROM audit WHERE deed = 'customer.erased'")) == 1


async def test_a_new_message_of_the_same_person_starts_anew(system: System) -> None:
    first = (await system.send("Hello", customer=CUSTOMER, message_id="m-1")).json()
    await erase(system, await customer_of(system))

    assert (await system.http.get(f"/api/session/{CUSTOMER}")).status_code == 404
    again = (await system.send("Hello again", customer=CUSTOMER, message_id="m-1")).json()

    assert again["conversation_id"] != first["conversation_id"]
    assert again["thread"]["frontend_context_uuid"] != first["thread"]["frontend_context_uuid"]
    assert (await system.session(CUSTOMER))["turns"] == 1


async def test_other_customers_are_left_alone(system: System) -> None:
    await system.send("Hello", customer=CUSTOMER)
    await system.send("Hello", customer="c-2")
    other = await Exports(system.database).customer(await customer_of(system, "c-2"))

    await erase(system, await customer_of(system))

    after = await Exports(system.database).customer(await customer_of(system, "c-2"))
    assert {**after, "exported_at": ""} == {**other, "exported_at": ""}


async def test_a_message_that_waits_stops_the_erasure(system: System) -> None:
    system.perplexity.gate.clear()
    asking = asyncio.create_task(system.send("Hello", customer=CUSTOMER))
    await system.until_asked(1)

    with pytest.raises(Busy, match="messages unanswered: 1"):
        await erase(system, await customer_of(system))

    system.perplexity.gate.set()
    assert (await asking).json()["reply"]["text"] == "You said: Hello"


async def test_a_forced_erasure_gives_up_what_is_asked_and_keeps_none_of_its_late_words(system: System) -> None:
    system.perplexity.gate.clear()
    system.perplexity.scripts.append(f"Late words of {SECRET}")
    asking = asyncio.create_task(system.send(f"I am {SECRET}", customer=CUSTOMER))
    await system.until_asked(1)
    customer = await customer_of(system)

    await erase(system, customer, force=True)
    system.perplexity.gate.set()
    given_up = (await asking).json()
    await asyncio.gather(*(system.send("Hello", customer=f"c-{n}") for n in range(3)))

    assert (given_up["reply"], given_up["state"]) == (None, "closed")
    assert await tables_with_words(system) == []
    [late] = await system.database.rows(
        "SELECT used, text FROM raw_outputs WHERE conversation_id NOT IN"
        " (SELECT c.id FROM conversations c JOIN channel_identities USING (customer_id))"
    )
    assert (late["used"], late["text"]) == (False, "")


async def test_an_open_effect_stops_the_erasure_and_a_forced_one_leaves_it_unknown(system: System) -> None:
    await system.send("Hello", customer=CUSTOMER)
    customer = await customer_of(system)
    await system.database.rows(
        "INSERT INTO effects (key, conversation_id, kind, status, fence, request_hash, request) "
        "SELECT 'k', id, 'api_call', 'sending', 1, 'h', jsonb_build_object('who', CAST(:who AS text)) "
        "FROM conversations",
        {"who": SECRET},
    )

    with pytest.raises(Busy, match="actions under way: 1"):
        await erase(system, customer)
    await erase(system, customer, force=True)

    [effect] = await system.database.rows("SELECT status, fence, request FROM effects")
    assert dict(effect) == {"status": "unknown", "fence": 2, "request": {}}


async def test_what_a_human_says_of_an_effect_after_the_erasure_is_not_kept(system: System) -> None:
    await test_an_open_effect_stops_the_erasure_and_a_forced_one_leaves_it_unknown(system)
    [effect] = (await system.http.get("/api/effects?status=unknown")).json()["effects"]
    rang = {"outcome": "confirmed", "note": f"I rang {SECRET}"}

    async def resolve(**otherwise: str) -> tuple[int, str]:
        answer = await system.http.post(f"/api/effects/{effect['id']}/resolve", json={**rang, **otherwise})
        return answer.status_code, answer.text

    first, again, other = await resolve(), await resolve(), await resolve(outcome="failed")

    assert [status for status, _ in (first, again, other)] == [200, 200, 409]
    assert [told for _, told in (first, again, other) if SECRET in told or "None" in told] == []
    assert await tables_with_words(system) == []


async def test_a_message_is_stored_before_the_erasure_or_begins_anew(system: System) -> None:
    """Whatever the interleaving, no word lands with an erased customer."""
    for round in range(10):
        await system.services.inbox.store(incoming(SECRET, round * 10, customer=CUSTOMER))
        customer = await customer_of(system)
        await asyncio.gather(
            erase(system, customer, force=True),
            *(system.services.inbox.store(incoming(SECRET, round * 10 + n, customer=CUSTOMER)) for n in range(1, 5)),
        )

    left = await system.database.rows(
        "SELECT 1 FROM messages m JOIN conversations c ON c.id = m.conversation_id "
        "JOIN customers k ON k.id = c.customer_id WHERE k.erased_at IS NOT NULL AND m.text <> ''"
    )
    assert not left


async def test_an_export_holds_everything_in_order(system: System) -> None:
    await a_full_conversation(system)
    await system.database.rows(
        "INSERT INTO messages (conversation_id, direction, author, channel, id_scope, text, stored_at) "
        "SELECT c.id, 'out', 'assistant', 'http', '', 'note ' || n, agent_now() + make_interval(secs => n) "
        "FROM conversations c, generate_series(1, 450) n"
    )

    document = await Exports(system.database).customer(await customer_of(system))

    sizes = {name: len(rows) for name, rows in document.items() if isinstance(rows, list)}
    assert sizes == {
        **{
            "identities": 1,
            "former_identities": 0,
            "conversations": 1,
            "threads": 1,
            "messages": 456,
            "turns": 3,
            "raw_outputs": 4,
        },
        **{"actions": 1, "effects": 1, "tickets": 1, "handoffs": 1, "media": 0, "deliveries": 0, "transitions": 2},
    }
    assert [message["text"] for message in document["messages"]][-2:] == ["note 449", "note 450"]
    assert document["identities"][0]["value"] == CUSTOMER


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_whatever_a_turn_is_at_when_it_is_erased_no_word_stays(
    still: System, moment: str, *, after: bool
) -> None:
    """A turn that opens a ticket, at each statement by which it stores something: before it, and after it."""
    still.perplexity.scripts.append(output("create_ticket", **TICKET))
    request = await stored(still, f"I am {SECRET}", customer=CUSTOMER)
    customer = await Erasure(still.database).customer_of(request.conversation_id)
    stop = DatabaseStop(MOMENTS[moment], after=after)
    async with activities(still, stop) as does:
        answering = asyncio.create_task(answer(does, request))
        await within(moment, stop.reached.wait(), lambda: str(answering))
        await erase(still, customer, force=True)
        stop.released.set()
        await answering

    assert await tables_with_words(still) == []
    assert not await still.database.rows("SELECT id FROM turns WHERE finished_at IS NULL")
