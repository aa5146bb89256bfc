"""Messages that the customer deletes or edits on WhatsApp while they are held: the model reads what is left of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.transitions import Event
from tests.integration.test_unsaid import TICKET, Conversation
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, written

PATIENT = {**SETTINGS, "take_over_wait_seconds": 1.0}  # nothing gives way on a busy machine


@pytest.fixture
async def talk(postgres_url: str, temporal_address: str) -> AsyncIterator[Conversation]:
    """A person has it; without a worker, the test runs each attempt itself."""
    async with running_system(postgres_url, temporal_address, worker=False, **PATIENT) as system:
        talk = Conversation(system)
        await talk.customer.write("Hello")
        await talk.answer()
        await talk.deliver()
        await talk.change(Event.TAKEN)
        yield talk


async def held(talk: Conversation, *texts: str) -> list[dict[str, Any]]:
    messages = [await talk.customer.write(text) for text in texts]
    await talk.answer()
    return messages


async def delete(talk: Conversation, message: dict[str, Any]) -> None:
    await talk.customer.send(
        written("", **_from(talk), type="revoke", text=None, revoke={"original_message_id": message["id"]})
    )


async def edit(talk: Conversation, message: dict[str, Any], text: str) -> None:
    new = {"original_message_id": message["id"], "message": {"type": "text", "text": {"body": text}}}
    await talk.customer.send(written("", **_from(talk), type="edit", text=None, edit=new))


def _from(talk: Conversation) -> dict[str, Any]:
    return {"from": talk.customer.phone}


async def release(talk: Conversation) -> None:
    await talk.change(Event.RELEASED)
    await talk.answer()
    await talk.deliver()


def asked(system: System) -> str:
    return "\n".join(prompt.text for prompt in system.perplexity.prompts)


async def test_what_was_deleted_while_it_was_held_is_not_asked_about(talk: Conversation) -> None:
    [card] = await held(talk, "My card number is 4111")
    await delete(talk, card)
    counted = await talk.held()
    await release(talk)

    assert counted == 0
    assert len(talk.system.perplexity.prompts) == 1
    assert (await talk.customer.session())["waiting_messages"] == 0


async def test_what_was_not_deleted_is(talk: Conversation) -> None:
    card, _ = await held(talk, "My card number is 4111", "Is it in stock?")
    await delete(talk, card)
    await release(talk)

    assert "4111" not in asked(talk.system)
    assert talk.customer.received[-1] == "You said: Is it in stock?"


async def test_an_edit_replaces_the_held_words(talk: Conversation) -> None:
    [first] = await held(talk, "Is the lamb in stock?")
    await edit(talk, first, "Is the lamp in stock?")
    counted = await talk.held()
    await release(talk)

    assert counted == 1
    assert talk.customer.received[-1] == "You said: Is the lamp in stock?"
    assert "lamb" not in asked(talk.system)


async def test_what_was_deleted_after_the_release_and_before_its_turn_is_not_asked_about(talk: Conversation) -> None:
    [card] = await held(talk, "My card number is 4111")
    await talk.change(Event.RELEASED)
    await delete(talk, card)
    await talk.answer()

    assert "4111" not in asked(talk.system)
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


async def test_what_was_deleted_while_it_was_asked_is_not_asked_once_more(talk: Conversation) -> None:
    """A person took the conversation while the question was out, and gave it back."""
    await talk.change(Event.RELEASED)
    talk.system.perplexity.gate.clear()
    card = await talk.customer.write("My card number is 4111")
    asking = asyncio.create_task(talk.answer())
    await talk.system.until_asked(2)
    await delete(talk, card)
    await talk.change(Event.TAKEN)
    talk.system.perplexity.gate.set()
    await asking
    await release(talk)

    assert len(talk.system.perplexity.prompts) == 2
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


async def test_an_edit_while_it_is_asked_is_a_message_of_its_own(talk: Conversation) -> None:
    [first] = await held(talk, "Is the lamb in stock?")
    await talk.change(Event.RELEASED)
    talk.system.perplexity.gate.clear()
    asking = asyncio.create_task(talk.answer())
    await talk.system.until_asked(2)
    await edit(talk, first, "Is the lamp in stock?")
    talk.system.perplexity.gate.set()
    await asking

    await talk.answer()

    assert "Is the lamp in stock?" in talk.system.perplexity.prompts[-1].text
    assert len(talk.system.perplexity.prompts) == 3


@pytest.mark.parametrize("confirmed_by", [Confirmation.NONE, Confirmation.STAFF])
async def test_an_edit_of_what_something_was_done_for_is_a_message_of_its_own(
    talk: Conversation, confirmed_by: Confirmation
) -> None:
    """Its words are withheld, so it is held; but it is not asked about any more."""
    actions = AssistantActions(confirmations={"create_ticket": confirmed_by})
    await talk.system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    await talk.change(Event.RELEASED)
    talk.system.perplexity.scripts.append(TICKET)
    [first] = await held(talk, "Two lamps broke")
    await talk.change(Event.TAKEN)
    await talk.deliver()
    await edit(talk, first, "Three lamps broke")
    await talk.answer()
    await release(talk)

    assert "Three lamps broke" in talk.system.perplexity.prompts[-1].text
    assert len(talk.system.perplexity.prompts) == 3
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)
