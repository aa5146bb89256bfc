"""Who had a conversation and what was open in it: facts, one projection of them, and a row for each change."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.standing import Owner, Standing
from storage.desk import Desk
from storage.erasure import Erasure
from storage.exports import Exports
from storage.standings import Standings
from tests.incoming import incoming
from tests.ports import free_port
from tests.support.shop import output
from tests.system_in_process import System, running_system

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
HANDOFF = output("handoff_support")


async def configure(system: System, **actions: Any) -> None:
    config = AssistantConfig(actions=AssistantActions(**actions))
    await system.services.configurations.apply("default", config, "test")


async def set_state(system: System, state: str) -> dict[str, Any]:
    response = await system.http.post("/api/session/c-1/state", json={"state": state, "reason": "a test"})
    response.raise_for_status()
    return dict(response.json())


async def changes(system: System) -> list[tuple[str, str, str, str]]:
    """From, to, why and who, oldest first."""
    rows = (await system.http.get("/api/session/c-1/transitions")).json()
    return [(row["from"], row["to"], row["why"], row["who"]) for row in reversed(rows)]


async def test_the_databases_projection_agrees_with_ours_in_every_combination(system: System) -> None:
    for owner, questions, tickets in product(Owner, range(3), range(3)):
        row = await system.database.row(
            "SELECT state_of(:owner, :questions, :tickets) AS state",
            {"owner": owner, "questions": questions, "tickets": tickets},
        )
        ours = Standing(owner=owner, questions=questions, tickets=tuple(f"T-{n}" for n in range(tickets)))
        assert row is not None
        assert row["state"] == ours.state


async def test_a_release_loses_no_open_ticket(system: System) -> None:
    system.perplexity.scripts.extend([TICKET, HANDOFF])
    await system.send("My lamp broke")
    await system.send("A human please")

    released = await set_state(system, "bot")

    assert (released["owner"], released["state"], released["handoff"]) == ("bot", "ticket_open", None)
    assert released["tickets"] == ["T-1001"]


async def test_resolving_one_of_two_tickets_changes_nothing_else(system: System) -> None:
    second = output("create_ticket", subject="Vase", description="Broken vase")
    system.perplexity.scripts.extend([TICKET, second])
    await system.send("My lamp broke")
    conversation_id = (await system.send("My vase too")).json()["conversation_id"]
    desk, standings = Desk(system.database), Standings(system.database)
    before = await standings.of(conversation_id)

    assert await desk.resolve_ticket("T-1001", who="Ann") is not None
    after = await standings.of(conversation_id)
    assert after == before.model_copy(update={"tickets": ("T-1002",)})
    assert (await system.session())["state"] == "ticket_open"

    assert await desk.resolve_ticket("T-1001", who="Ann") is None
    await desk.resolve_ticket("T-1002", who="Ann")
    assert (await system.session())["state"] == "bot"
    assert [why for _, _, why, _ in await changes(system)] == ["ticket_opened"] * 2 + ["ticket_resolved"] * 2


async def test_a_ticket_opened_while_a_human_has_it_stays_after_the_release(system: System) -> None:
    await configure(system, confirmations={"create_ticket": Confirmation.STAFF})
    system.perplexity.scripts.append(TICKET)
    await system.send("My lamp broke")
    [question] = (await set_state(system, "human_handoff"))["questions"]

    body = {"digest": question["digest"], "approved": True, "agent_name": "Ann"}
    approved = (await system.http.post("/api/session/c-1/approval", json=body)).json()
    released = await set_state(system, "bot")

    assert (approved["owner"], approved["state"], approved["tickets"]) == ("human", "human_handoff", ["T-1001"])
    assert (released["owner"], released["state"]) == ("bot", "ticket_open")


async def test_each_change_leaves_a_row(system: System) -> None:
    await configure(system, confirmations={"create_ticket": Confirmation.CUSTOMER})
    system.perplexity.scripts.extend([TICKET, TICKET, HANDOFF, output("close_conversation")])
    await system.send("My lamp broke")
    await system.send("no")
    await system.send("My lamp broke, really")
    await system.send("yes")
    await system.send("A human please")
    await set_state(system, "bot")
    await system.send("Thanks, bye")
    await system.send("Hello again")
    await set_state(system, "human_handoff")
    await set_state(system, "human_handoff")  # has it already: no row
    await system.http.post("/api/session/c-1/reset", json={})

    staff = "api key test"
    assert await changes(system) == [
        ("bot", "bot", "asked", "assistant"),
        ("bot", "bot", "declined", "customer"),
        ("bot", "bot", "asked", "assistant"),
        ("bot", "bot", "confirmed", "customer"),
        ("bot", "bot", "ticket_opened", "assistant"),
        ("bot", "human", "handoff", "assistant"),
        ("human", "bot", "released", staff),
        ("bot", "closed", "closed", "assistant"),
        ("closed", "bot", "message", "customer"),
        ("bot", "human", "taken", staff),
        ("human", "bot", "reset", staff),
    ]
    rows = (await system.http.get("/api/session/c-1/transitions")).json()
    assert [row["version"] for row in reversed(rows)] == [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert {row["why"] for row in rows if row["turn_id"] is None} == {"released", "taken", "reset"}


async def test_an_older_page_of_changes(system: System) -> None:
    await system.send("Hello")
    for state in ("human_handoff", "bot", "closed"):
        await set_state(system, state)

    newest = await system.http.get("/api/session/c-1/transitions?limit=1")
    before = newest.headers["Next-Before"]
    older = await system.http.get("/api/session/c-1/transitions", params={"limit": 2, "before": before})

    assert [row["why"] for row in newest.json() + older.json()] == ["closed", "released", "taken"]
    assert "Next-Before" not in older.headers


async def test_a_message_opens_a_closed_conversation_also_for_an_action(system: System) -> None:
    await system.send("Hello")
    await set_state(system, "closed")
    system.perplexity.scripts.append(TICKET)

    turn = (await system.send("My lamp broke")).json()

    assert (turn["state"], turn["ticket_id"]) == ("ticket_open", "T-1001")
    assert [(why, to) for _, to, why, _ in await changes(system)] == [
        ("closed", "closed"),
        ("message", "bot"),
        ("ticket_opened", "bot"),
    ]


async def test_an_export_has_the_changes_and_an_erasure_is_one(system: System) -> None:
    conversation_id = (await system.send("Hello")).json()["conversation_id"]
    await set_state(system, "human_handoff")
    erasure = Erasure(system.database)
    customer_id = await erasure.customer_of(conversation_id)

    exported = await Exports(system.database).customer(customer_id)
    await erasure.erase(customer_id, actor="Ann")

    assert [row["why"] for row in exported["transitions"]] == ["taken"]
    whys = [each.why for each in await Standings(system.database).transitions(conversation_id, 10)]
    assert whys == ["erased", "taken"]
    assert (await Standings(system.database).of(conversation_id)).owner is Owner.CLOSED


@pytest.mark.parametrize("state", ["bot", "human_handoff", "closed"])
async def test_a_change_succeeds_while_temporal_is_away(postgres_url: str, state: str) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with running_system(postgres_url, nowhere, worker=False, connected=False) as system:
        await system.services.inbox.store(incoming("Hello", 1))
        changed = await set_state(system, state)

    assert (changed["state"], changed["run_id"]) == (state, None)
