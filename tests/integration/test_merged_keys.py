"""Who is who: which keys make two customers one, which contradict each other, and which change hands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from schemas.messages import BatchOptions, BatchOutcome, ChannelMessage, CustomerIdentity
from storage.database import StorageUnavailable
from storage.erasure import Erasure
from storage.inbox import Inbox
from storage.turns import Turns
from tests.incoming import incoming
from tests.support.clock import NOW
from tests.support.waiting import within
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import ACCOUNT

OLD, NEW, ELSE = "15550001411", "15550001412", "15550001413"
ID, OTHER_ID = "US.2222", "US.3333"


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


class Doors:
    """Stores what webhooks bring, one event a call."""

    def __init__(self, system: System) -> None:
        self._inbox = Inbox(system.database)
        self._number = 0

    async def comes(self, phone: str | None = None, user_id: str | None = None, **fields: Any) -> list[BatchOutcome]:
        self._number += 1
        values = {
            "account": ACCOUNT,
            "channel_message_id": f"wamid.{self._number}",
            "identities": keys(phone, user_id),
            "kind": "text",
            "speaks": True,
            "text": f"message {self._number}",
            "sent_at": NOW + timedelta(seconds=self._number),
        }
        message = ChannelMessage.model_validate(values | fields)
        return await self._inbox.store_batch("whatsapp", [message], BatchOptions())

    async def change(self, old: str, new: str, **fields: Any) -> list[BatchOutcome]:
        return await self.comes(old, kind="system", speaks=False, new_identities=keys(new), **fields)


def keys(phone: str | None = None, user_id: str | None = None) -> list[CustomerIdentity]:
    known = (("phone", phone), ("user_id", user_id))
    return [CustomerIdentity(kind=kind, value=value) for kind, value in known if value]


@pytest.fixture
def doors(system: System) -> Doors:
    return Doors(system)


async def people(system: System) -> list[set[str]]:
    """The keys of each customer who has any, the one who came first first."""
    rows = await system.database.rows(
        "SELECT array_agg(i.value) AS keys FROM customers k JOIN channel_identities i ON i.customer_id = k.id "
        "GROUP BY k.id, k.created_at ORDER BY k.created_at"
    )
    return [set(row["keys"]) for row in rows]


async def said(system: System) -> list[list[str]]:
    """What waits in each conversation that goes on, the older first, in the order of its numbers."""
    rows = await system.database.rows(
        "SELECT c.id, array_agg(m.text ORDER BY m.seq) AS texts, array_agg(m.seq ORDER BY m.seq) AS numbers, "
        "       c.newest_seq FROM conversations c JOIN messages m ON m.conversation_id = c.id AND m.direction = 'in' "
        "GROUP BY c.id ORDER BY c.created_at"
    )
    for row in rows:
        assert row["numbers"] == list(range(1, row["newest_seq"] + 1))
    return [row["texts"] for row in rows]


async def test_one_event_with_both_keys_makes_them_one(system: System, doors: Doors) -> None:
    await doors.comes(OLD)
    await doors.comes(None, ID)

    outcomes = await doors.comes(OLD, ID)

    assert [outcome.outcome for outcome in outcomes] == ["new", "merged"]
    assert await people(system) == [{OLD, ID}]
    assert await said(system) == [["message 1", "message 2", "message 3"]]
    [merged] = await system.database.rows("SELECT actor, details FROM audit WHERE deed = 'customer.merged'")
    assert merged["actor"] == "inbox"


async def test_both_keys_at_first_are_one_from_the_beginning(system: System, doors: Doors) -> None:
    for phone, user_id in ((OLD, ID), (OLD, None), (None, ID)):
        outcomes = await doors.comes(phone, user_id)
        assert [outcome.outcome for outcome in outcomes] == ["new"]

    assert await people(system) == [{OLD, ID}]
    assert len(await said(system)) == 1


async def test_a_number_with_another_id_is_somebody_else(system: System, doors: Doors) -> None:
    """The number was given to a new owner: the old one's conversation is not theirs, nor is it told anything there."""
    await doors.comes(OLD, ID)

    await doors.comes(OLD, OTHER_ID)
    await doors.comes(OLD)

    assert await people(system) == [{ID}, {OLD, OTHER_ID}]
    assert await said(system) == [["message 1"], ["message 2", "message 3"]]
    [moved] = await system.database.rows("SELECT subject FROM audit WHERE deed = 'customer.key_moved'")
    assert moved["subject"].startswith("customer/")


async def test_an_id_with_another_number_stays_who_it_was_and_takes_the_number(system: System, doors: Doors) -> None:
    """Two keys that contradict each other: the number's owner until now may be another person. A person has one number:
    the one that they had before is free."""
    await doors.comes(OLD, ID)
    await doors.comes(NEW)

    await doors.comes(NEW, ID)
    await doors.comes(OLD)

    assert await people(system) == [{NEW, ID}, {OLD}]
    assert await said(system) == [["message 1", "message 3"], ["message 2"], ["message 4"]]


async def test_a_changed_number_moves_the_customer_and_frees_the_old_one(system: System, doors: Doors) -> None:
    await doors.comes(OLD)

    await doors.change(OLD, NEW, channel_message_id="wamid.change")
    await doors.comes(NEW)
    await doors.comes(OLD, ID)
    again = await doors.change(OLD, NEW, channel_message_id="wamid.change")

    assert [outcome.outcome for outcome in again] == ["repeated"]
    assert await people(system) == [{NEW}, {OLD, ID}]
    assert await said(system) == [["message 1", "message 3"], ["message 4"]]


async def test_who_wrote_from_the_new_number_before_the_change_was_told_is_the_same(
    system: System, doors: Doors
) -> None:
    await doors.comes(OLD)
    await doors.comes(NEW, sent_at=NOW + timedelta(seconds=30))

    outcomes = await doors.change(OLD, NEW, sent_at=NOW + timedelta(seconds=20))

    assert [outcome.outcome for outcome in outcomes] == ["noted", "merged"]
    assert await people(system) == [{NEW}]
    assert await said(system) == [["message 1", "message 2"]]


async def test_who_had_the_new_number_before_is_somebody_else(system: System, doors: Doors) -> None:
    await doors.comes(OLD)
    await doors.comes(NEW, sent_at=NOW + timedelta(seconds=10))

    await doors.change(OLD, NEW, sent_at=NOW + timedelta(seconds=20))
    await doors.comes(NEW, sent_at=NOW + timedelta(seconds=21))

    assert await people(system) == [{NEW}]
    assert await said(system) == [["message 1", "message 4"], ["message 2"]]


async def test_an_older_event_that_comes_late_takes_no_key(system: System, doors: Doors) -> None:
    """By the channel's clock another had the number before: they have it no more."""
    await doors.comes(OLD, ID, sent_at=NOW + timedelta(seconds=20))
    await doors.comes(OLD, OTHER_ID, sent_at=NOW + timedelta(seconds=10))
    await doors.comes(NEW, ID, sent_at=NOW + timedelta(seconds=5))
    await doors.comes(OLD, sent_at=NOW + timedelta(seconds=30))

    assert await people(system) == [{OLD, ID}, {OTHER_ID}]
    assert await said(system) == [["message 1", "message 3", "message 4"], ["message 2"]]


async def test_a_change_that_is_told_late_takes_nothing_that_came_since(system: System, doors: Doors) -> None:
    await doors.comes(OLD, ID)
    await doors.comes(ELSE, ID, sent_at=NOW + timedelta(seconds=30))

    await doors.change(OLD, NEW, sent_at=NOW + timedelta(seconds=20))

    assert await people(system) == [{ELSE, ID}]
    assert await said(system) == [["message 1", "message 2"]]


async def test_a_number_of_one_and_an_id_of_another_make_nobody_one_if_both_have_numbers(
    system: System, doors: Doors
) -> None:
    await doors.comes(OLD, ID)
    await doors.comes(NEW, OTHER_ID)

    await doors.comes(NEW, ID)
    await doors.comes(None, OTHER_ID)

    assert await people(system) == [{NEW, ID}, {OTHER_ID}]
    assert await said(system) == [["message 1", "message 3"], ["message 2", "message 4"]]


async def test_what_is_merged_can_be_merged_again(system: System, doors: Doors) -> None:
    """Three conversations become one, and every older id leads to it."""
    await doors.comes(OLD)
    await doors.comes(None, ID)
    await doors.comes(NEW, sent_at=NOW + timedelta(seconds=30))
    ids = [row["id"] for row in await system.database.rows("SELECT id FROM customers")]

    await doors.comes(OLD, ID)
    await doors.change(OLD, NEW, sent_at=NOW + timedelta(seconds=20))

    assert await people(system) == [{NEW, ID}]
    assert await said(system) == [["message 1", "message 2", "message 4", "message 3"]]
    rows = await system.database.rows("SELECT DISTINCT merged_into FROM conversations WHERE merged_into IS NOT NULL")
    assert len(rows) == 1
    for customer_id in ids:
        erased = await Erasure(system.database).erase(customer_id, actor="test", force=True)
        assert (erased.conversations, erased.again) in {(3, False), (0, True)}


async def test_a_message_that_comes_again_after_the_merge_is_known(system: System, doors: Doors) -> None:
    await doors.comes(OLD)
    await doors.comes(None, ID, channel_message_id="wamid.same")
    await doors.comes(OLD, ID)

    again = await doors.comes(None, ID, channel_message_id="wamid.same")

    assert [outcome.outcome for outcome in again] == ["repeated"]
    [left] = await system.database.rows("SELECT newest_seq FROM conversations WHERE merged_into IS NULL")
    assert left["newest_seq"] == 3


async def test_a_conversation_at_another_account_is_only_handed_to_the_customer(system: System, doors: Doors) -> None:
    await doors.comes(OLD)
    await doors.comes(None, ID, account="777")

    outcomes = await doors.comes(OLD, ID)

    assert [outcome.outcome for outcome in outcomes] == ["new"]
    rows = await system.database.rows("SELECT DISTINCT customer_id FROM conversations")
    assert len(rows) == 1
    assert await said(system) == [["message 1", "message 3"], ["message 2"]]


async def test_no_turn_begins_where_messages_have_moved_away(system: System, doors: Doors) -> None:
    """A claim that looked before the merge and would begin its turn after it is told to look again."""
    await doors.comes(OLD)
    await doors.comes(None, ID)
    await doors.comes(OLD, ID)
    [merged] = await system.database.rows("SELECT id FROM conversations WHERE merged_into IS NOT NULL")

    with pytest.raises(StorageUnavailable):
        await system.database.rows(
            "INSERT INTO turns (conversation_id, first_seq, last_seq, status) VALUES (:id, 1, 1, 'claimed')",
            {"id": merged["id"]},
        )


async def test_whatever_comes_at_once_every_message_waits_in_one_place(system: System) -> None:
    """Numbers, ids and both, stored and claimed at the same time: nothing is lost, doubled or stuck."""
    inbox, order = Inbox(system.database), random.Random(5)

    async def store(person: int, number: int, found: list[CustomerIdentity]) -> None:
        message = ChannelMessage(
            account=ACCOUNT,
            channel_message_id=f"wamid.{person}.{number}",
            identities=found,
            kind="text",
            speaks=True,
            text=f"{person}.{number}",
        )
        await _again(inbox.store_batch, "whatsapp", [message], BatchOptions())

    async def claim() -> None:
        for row in await system.database.rows("SELECT id, cursor FROM conversations"):
            await _again(Turns(system.database).claim, row["id"], row["cursor"], row["id"], 10)

    calls = [claim for _ in range(20)]
    for person in range(10):
        phone, user_id = keys(f"1555000{person}"), keys(None, f"US.{person}0000")
        for number, found in enumerate((phone, user_id, phone, user_id, [*phone, *user_id], phone, user_id)):
            calls.append(lambda p=person, n=number, f=found: store(p, n, f))  # type: ignore[misc]
    order.shuffle(calls)
    await asyncio.gather(*(call() for call in calls))

    texts = await said(system)
    assert sorted(sorted(each) for each in texts) == [[f"{person}.{n}" for n in range(7)] for person in range(10)]
    assert len(await people(system)) == 10
    stuck = await system.database.rows(
        "SELECT t.id FROM turns t JOIN conversations c ON c.id = t.conversation_id "
        "WHERE c.merged_into IS NOT NULL AND t.finished_at IS NULL"
    )
    assert stuck == []


async def _again(call: Any, *args: Any) -> None:
    """As a channel and a workflow do: what gave way to another is tried again."""
    for _ in range(20):
        try:
            await call(*args)
        except StorageUnavailable:
            continue
        return
    raise AssertionError("never took effect")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_waits_on_the_one_that_ends_is_answered(
    postgres_url: str, temporal_address: str, stream: bool
) -> None:
    async with running_system(postgres_url, temporal_address) as system:
        older = incoming("I am known by an id", 1).model_copy(update={"identities": keys(None, ID), "id_scope": ID})
        await system.services.inbox.store(older)
        system.perplexity.gate.clear()
        waiting = asyncio.create_task(_reply(system, stream=stream))
        await system.until_asked(1)
        by_name = CustomerIdentity(kind="customer_id", value="c-1")
        both = incoming("It is me", 2).model_copy(update={"identities": [by_name, *keys(None, ID)], "id_scope": ID})
        stored = await system.services.inbox.store(both)
        await system.services.conversations.signal_message_stored(stored)
        await system.until_asked(2)

        system.perplexity.gate.set()

        reply = await within("the caller's reply", waiting, lambda: system.perplexity.prompts)
        assert reply == "You said: I am known by an id\n\nHello\n\nIt is me"
        assert (await system.session())["conversation_id"] == str(stored.conversation_id)


async def _reply(system: System, *, stream: bool) -> str:
    if not stream:
        return str((await system.send("Hello")).json()["reply"]["text"])
    events = [event async for event in system.stream("Hello")]
    assert events[-1].kind == "done", events
    return str(events[-1].data["reply"]["text"])
