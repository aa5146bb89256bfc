"""A customer on WhatsApp, from the signed webhook to the message that goes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from integrations.perplexity.double import words
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import USER_ID, message, payload
from tests.whatsapp_customer import SETTINGS, Customer, at, post, written


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        yield system


async def test_a_message_is_answered_on_whatsapp(system: System) -> None:
    customer = Customer(system)
    system.perplexity.scripts.append("We **do** deliver to Penang.")

    await customer.write("Do you deliver to Penang?")

    assert await customer.until_received(1) == ["We *do* deliver to Penang."]
    assert words(system.perplexity.prompts[0]) == "Do you deliver to Penang?"
    session = await customer.until_idle()
    assert (session["turns"], session["state"], session["channel"]) == (1, "bot", "whatsapp")


@pytest.mark.parametrize("nothing", ["![](attachment:chart)", "[1]: https://example.com/a", "<!-- nothing -->"])
async def test_an_answer_that_shows_nothing_is_asked_for_again(system: System, nothing: str) -> None:
    customer = Customer(system)
    system.perplexity.scripts.extend([nothing, "Here it is in words."])

    await customer.write("Do you have a chart?")

    assert await customer.until_received(1) == ["Here it is in words."]
    assert "it shows the customer nothing" in system.perplexity.prompts[1].text
    [output] = await system.database.rows("SELECT errors FROM raw_outputs WHERE verdict = 'invalid'")
    assert output["errors"][0]["code"] == "nothing_said"


async def test_a_definition_with_a_name_is_sent_as_it_is(system: System) -> None:
    customer = Customer(system)
    system.perplexity.scripts.append("[Menu]: https://example.com/menu.pdf")

    await customer.write("The menu, please")

    assert await customer.until_received(1) == ["[Menu]: https://example.com/menu.pdf"]


async def test_of_an_answer_that_is_too_long_the_customer_gets_the_beginning_and_is_told(system: System) -> None:
    customer = Customer(system)
    whole = " ".join(f"Sentence {number} of **many**." for number in range(20_000))
    system.perplexity.scripts.append(whole)

    await customer.write("Tell me everything")
    await customer.until_idle()
    parts = await customer.until_received(4)

    assert len("".join(parts)) < 17_000
    assert "Sentence 0 of *many*." in parts[0]
    assert parts[-1].endswith("(My answer was too long to send all of it here. Ask me for the part that you need.)")
    [kept] = await system.database.rows("SELECT text FROM raw_outputs")
    assert kept["text"] == whole


async def test_the_same_webhook_again_changes_nothing(system: System) -> None:
    customer = Customer(system)
    body = payload(messages=[written("Hello")])

    await asyncio.gather(*(post(system, body) for _ in range(5)))
    await customer.until_received(1)
    await post(system, body)
    await customer.write("And now?")

    assert len(await customer.until_received(2)) == 2
    assert len(system.perplexity.prompts) == 2


async def test_ten_first_messages_at_once_make_one_conversation(system: System) -> None:
    customer = Customer(system)

    await asyncio.gather(*(customer.write(f"message {number}") for number in range(10)))
    await customer.until_idle()

    counts = await system.database.row(
        "SELECT (SELECT count(*) FROM customers) AS customers, (SELECT count(*) FROM conversations) AS conversations,"
        " (SELECT count(*) FROM messages WHERE direction = 'in') AS messages"
    )
    assert counts is not None
    assert tuple(counts.values()) == (1, 1, 10)


async def test_a_batch_is_answered_in_the_order_of_its_timestamps(system: System) -> None:
    customer = Customer(system)
    later, earlier = written("second", timestamp=at(2)), written("first", timestamp=at(1))

    await customer.send(later, earlier)
    await customer.until_idle()

    assert words(system.perplexity.prompts[0]) == "first\n\nsecond"


async def test_phone_and_user_id_are_one_customer(system: System) -> None:
    customer = Customer(system)
    contact = {"profile": {"name": "Ann"}, "wa_id": customer.phone, "user_id": USER_ID}

    await customer.send(written("with both", from_user_id=USER_ID), contacts=[contact])
    await customer.until_received(1)
    by_id_alone = written("by id alone", **{"from": None}, from_user_id=USER_ID)
    await customer.send(by_id_alone, contacts=[{"profile": {"name": "Ann"}, "user_id": USER_ID}])

    assert len(await customer.until_received(2)) == 2
    assert (await customer.until_idle())["turns"] == 2


async def test_identities_that_came_apart_are_joined(system: System) -> None:
    customer = Customer(system)
    await customer.send(written("by id", **{"from": None}, from_user_id=USER_ID), contacts=[{"user_id": USER_ID}])
    await customer.write("by phone")
    await customer.until_received(1)

    await customer.send(written("both", from_user_id=USER_ID), contacts=[{"wa_id": customer.phone, "user_id": USER_ID}])
    await customer.until_received(2)
    await customer.send(written("id again", **{"from": None}, from_user_id=USER_ID), contacts=[{"user_id": USER_ID}])

    assert len(await customer.until_received(3)) == 3


async def test_a_username_alone_is_reached_by_id(system: System) -> None:
    customer = Customer(system)
    one = written("Hello", **{"from": None}, from_user_id=USER_ID)

    await customer.send(one, contacts=[{"profile": {"name": "Ann", "username": "ann"}, "user_id": USER_ID}])
    (posted,) = await until("a reply", lambda: system.whatsapp.sent)

    assert posted.request.recipient.user_id == USER_ID
    assert posted.request.recipient.phone is None


async def test_reactions_and_echoes_are_kept_and_not_answered(system: System) -> None:
    customer = Customer(system)
    first = await customer.write("Hello")
    await customer.until_received(1)

    reaction = {"message_id": first["id"], "emoji": "👍"}
    await customer.send(written("", type="reaction", text=None, reaction=reaction))
    await customer.write("Thanks")
    await customer.until_received(2)

    kinds = await system.database.rows("SELECT kind FROM messages WHERE direction = 'event'")
    assert [row["kind"] for row in kinds] == ["reaction"]
    assert len(system.perplexity.prompts) == 2


async def test_what_staff_write_on_the_phone_is_kept_as_a_humans(system: System) -> None:
    customer = Customer(system)
    echo = message(**{"from": "15550783881"}, to=customer.phone, id="wamid.echo", text={"body": "Ann here"})
    body = payload(message_echoes=[echo])
    body["entry"][0]["changes"][0]["field"] = "smb_message_echoes"

    await post(system, body)
    await post(system, body)

    rows = await system.database.rows("SELECT direction, author, text FROM messages")
    assert [tuple(row.values()) for row in rows] == [("out", "agent", "Ann here")]
    assert system.perplexity.prompts == []


async def test_what_nobody_can_read_is_answered_politely_without_the_model(system: System) -> None:
    customer = Customer(system)

    await customer.send(written("", type="unsupported", text=None, errors=[{"code": 131051}]))

    assert "can't read this kind of message" in (await customer.until_received(1))[0]
    assert system.perplexity.prompts == []


async def test_a_message_to_a_number_that_is_not_ours_has_no_effect(system: System) -> None:
    body = payload(messages=[written("Hello")])
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "999"

    response = await post(system, body)

    leftover = await system.database.row("SELECT account, why FROM leftovers")
    assert response.status_code == 200
    assert leftover is not None
    assert leftover["account"] == "999"
    assert await system.database.row("SELECT 1 FROM messages") is None


async def test_the_customer_sees_that_their_message_is_read(system: System) -> None:
    customer = Customer(system)

    one = await customer.write("Hello")
    await customer.until_received(1)

    assert [message_id for _, message_id in system.whatsapp.marked] == [one["id"]]
