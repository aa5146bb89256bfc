"""The inbox under webhooks: parallel, repeated, hostile and over the limits, straight against PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from schemas.assistants import Accounts, AssistantConfig
from schemas.messages import BatchOptions, ChannelMessage, CustomerIdentity, RateLimit
from storage.configurations import AccountTaken, Configurations
from storage.database import Database
from storage.inbox import Inbox
from tests.system_in_process import System, running_system

ACCOUNT = "106540352242922"
_LIMITS = [
    RateLimit(key="account", per_minute=600_000, burst=100_000),
    RateLimit(key="customer", per_minute=600_000, burst=100_000),
]


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False) as system:
        yield system


def _message(number: int, customer: int = 1, **fields: object) -> ChannelMessage:
    values = {
        "account": ACCOUNT,
        "channel_message_id": f"wamid.{customer}.{number}",
        "identities": [CustomerIdentity(kind="phone", value=f"1555000{customer}")],
        "kind": "text",
        "speaks": True,
        "text": f"message {number}",
        "limits": _LIMITS,
    }
    return ChannelMessage.model_validate(values | fields)


async def _count(system: System, what: str) -> int:
    row = await system.database.row(f"SELECT count(*) AS n FROM {what}")
    assert row is not None
    return int(row["n"])


async def test_first_messages_at_once_make_one_customer_each(system: System) -> None:
    inbox = Inbox(system.database)
    calls = [
        inbox.store_batch("whatsapp", [_message(number, customer)], BatchOptions())
        for customer in range(50)
        for number in range(10)
    ]
    random.Random(7).shuffle(calls)

    await asyncio.gather(*calls)

    assert await _count(system, "customers") == 50
    assert await _count(system, "conversations") == 50
    assert await _count(system, "messages") == 500


async def test_batches_with_the_same_customers_in_other_orders_do_not_block_each_other(system: System) -> None:
    inbox, order = Inbox(system.database), random.Random(11)
    messages = [_message(number, customer) for customer in range(20) for number in range(5)]

    for _ in range(5):
        batches = [order.sample(messages, len(messages)) for _ in range(8)]
        outcomes = await asyncio.gather(*(inbox.store_batch("whatsapp", each, BatchOptions()) for each in batches))

    assert {outcome.outcome for each in outcomes for outcome in each} == {"repeated"}
    assert await _count(system, "messages") == 100


async def test_an_edit_takes_effect_while_the_message_waits(system: System) -> None:
    inbox = Inbox(system.database)
    edit = _message(2, kind="edit", speaks=False, text="two lamps", concerns="wamid.1.1")

    (stored,) = await inbox.store_batch("whatsapp", [_message(1, text="a lamp")], BatchOptions())
    (edited,) = await inbox.store_batch("whatsapp", [edit], BatchOptions())

    row = await system.database.row("SELECT text, meta ->> 'before' AS before FROM messages WHERE direction = 'in'")
    assert (stored.outcome, edited.outcome) == ("new", "noted")
    assert row is not None
    assert (row["text"], row["before"]) == ("two lamps", "a lamp")


async def test_an_edit_of_what_was_answered_is_a_message(system: System) -> None:
    inbox = Inbox(system.database)
    await inbox.store_batch("whatsapp", [_message(1, text="a lamp")], BatchOptions())
    await system.database.rows("UPDATE conversations SET cursor = newest_seq")

    edit = _message(2, kind="edit", speaks=False, text="two lamps", concerns="wamid.1.1")
    (edited,) = await inbox.store_batch("whatsapp", [edit], BatchOptions())
    (again,) = await inbox.store_batch("whatsapp", [edit], BatchOptions())

    row = await system.database.row("SELECT text FROM messages WHERE direction = 'in' AND seq = 2")
    assert (edited.outcome, again.outcome) == ("new", "repeated")
    assert row is not None
    assert row["text"].endswith("two lamps")


async def test_a_new_number_is_the_same_customer(system: System) -> None:
    inbox = Inbox(system.database)
    changed = [CustomerIdentity(kind="phone", value="15559999")]
    await inbox.store_batch("whatsapp", [_message(1)], BatchOptions())

    system_message = _message(2, kind="system", speaks=False, new_identities=changed)
    await inbox.store_batch("whatsapp", [system_message], BatchOptions())
    await inbox.store_batch("whatsapp", [_message(3, identities=changed)], BatchOptions())

    assert await _count(system, "customers") == 1
    assert await _count(system, "conversations") == 1


async def test_over_the_limit_a_message_is_kept_and_its_sender_told_once(system: System) -> None:
    inbox = Inbox(system.database)
    limits = [RateLimit(key="customer/1", per_minute=1, burst=2)]

    for number in range(5):
        await inbox.store_batch("whatsapp", [_message(number, limits=limits)], BatchOptions())

    rows = await system.database.rows("SELECT meta ->> 'limited' AS limited FROM messages ORDER BY seq")
    assert [row["limited"] for row in rows] == [None, None, "tell", "quiet", "quiet"]


async def test_limits_hold_across_front_doors(system: System) -> None:
    doors = [Inbox(system.database) for _ in range(3)]
    limits = [RateLimit(key="customer/1", per_minute=1, burst=10)]

    await asyncio.gather(
        *(
            door.store_batch("whatsapp", [_message(number * 3 + place, limits=limits)], BatchOptions())
            for place, door in enumerate(doors)
            for number in range(10)
        )
    )

    assert await _count(system, "messages WHERE meta ? 'limited'") == 20


async def test_an_account_of_an_assistant_is_known(system: System) -> None:
    config = AssistantConfig(accounts=Accounts(whatsapp=("777",)))
    await system.services.configurations.apply("sales", config, "test")
    options = BatchOptions(accounts=[ACCOUNT])

    outcomes = await Inbox(system.database).store_batch(
        "whatsapp", [_message(1, account="777"), _message(2), _message(3, account="888")], options
    )

    assert [outcome.outcome for outcome in outcomes] == ["new", "new", "unknown_account"]
    assert [outcome.ref and outcome.ref.assistant for outcome in outcomes] == ["sales", "default", None]


async def test_an_account_belongs_to_one_assistant(system: System) -> None:
    configurations, config = system.services.configurations, AssistantConfig(accounts=Accounts(whatsapp=("777",)))
    await configurations.apply("sales", config, "test")

    with pytest.raises(AccountTaken, match="777 belongs to assistant sales"):
        await configurations.apply("support", config, "test")

    assert await configurations.apply("sales", config, "test") == 2
    await configurations.apply("sales", AssistantConfig(), "test")
    assert await configurations.apply("support", config, "test") == 1


async def test_of_two_who_apply_at_once_one_comes_first(system: System) -> None:
    """Each by a database of its own, as processes do."""
    config = AssistantConfig(accounts=Accounts(whatsapp=("777",)))
    databases = [Database(system.settings.database_url) for _ in range(6)]
    try:
        owners = await asyncio.gather(
            *(Configurations(each).apply(f"a{n}", config, "test") for n, each in enumerate(databases)),
            return_exceptions=True,
        )
        versions = await asyncio.gather(
            *(Configurations(each).apply("own", AssistantConfig(), "test") for each in databases)
        )
    finally:
        await asyncio.gather(*(each.close() for each in databases))

    assert len([each for each in owners if isinstance(each, AccountTaken)]) == 5
    assert sorted(versions) == [1, 2, 3, 4, 5, 6]
