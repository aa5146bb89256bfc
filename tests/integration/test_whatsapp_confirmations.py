"""A yes over WhatsApp: it counts for the question that the customer could read, and only if nothing else was said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.port import Choice
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, Texts
from tests.support import clock
from tests.support.shop import CANCEL, output
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer, at, written

CALL = output("api_call", endpoint="cancel_order", params={})


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        await configure(system)
        yield system


async def configure(system: System, **more: Any) -> None:
    confirmations = {"create_ticket": Confirmation.CUSTOMER}
    actions = AssistantActions(endpoints=(CANCEL,), confirmations=confirmations, **more)
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")


@pytest.fixture
async def customer(system: System) -> Customer:
    """A customer who was asked half a minute ago whether their order is to be cancelled."""
    customer = Customer(system)
    system.perplexity.scripts.append(CALL)
    await customer.write("Cancel my order")
    await customer.until_received(1)
    await customer.until_idle()
    accepted_at = clock.now() - timedelta(seconds=30)
    await system.database.rows(
        "UPDATE effects SET settled_at = :accepted_at, claimed_at = :accepted_at WHERE kind = 'part'",
        {"accepted_at": accepted_at},
    )
    return customer


async def test_the_customer_is_asked_in_plain_words(system: System, customer: Customer) -> None:
    assert customer.received == ["Shall I do this: Cancels?\nPlease answer yes or no."]


async def test_a_plain_yes_does_it(system: System, customer: Customer) -> None:
    await customer.write("yes")
    await customer.until_received(2)

    assert len(system.endpoints.calls) == 1


@pytest.mark.parametrize("quotes_the_question", [True, False])
async def test_a_yes_that_quotes_counts_for_what_it_quotes(
    system: System, customer: Customer, quotes_the_question: bool
) -> None:
    """Whoever answers to another message says yes to that one: the model reads it."""
    quoted = system.whatsapp.sent[-1].channel_message_id if quotes_the_question else "wamid.another"
    await customer.write("yes", context={"id": quoted})
    await customer.until_received(2)

    assert len(system.endpoints.calls) == int(quotes_the_question)


async def test_no_and_ok_in_one_burst_is_no_yes(system: System, customer: Customer) -> None:
    await customer.send(written("No wait, please do not cancel it!"), written("ok thanks"))
    await customer.until_received(2)

    assert system.endpoints.calls == []
    assert "please do not cancel it" in system.perplexity.prompts[-1].text


async def test_an_ok_written_before_the_question_is_no_yes(system: System, customer: Customer) -> None:
    await customer.write("ok", timestamp=at(0))
    await customer.until_received(2)

    assert system.endpoints.calls == []


async def test_a_yes_after_other_words_is_the_models_to_read(system: System, customer: Customer) -> None:
    await configure(system, unclear_answer="keep")
    await customer.write("What is the fee?")
    await customer.until_received(2)
    await customer.write("yes")
    await customer.until_received(3)

    assert system.endpoints.calls == []
    fee, yes = [question.text for question in system.perplexity.prompts[1:]]
    for told in (fee, yes):
        assert "Less than a minute ago the customer was asked to confirm" in told
        assert '"endpoint":"cancel_order"' in told
        assert "The question stays open." in told


async def test_after_other_words_the_questions_own_button_counts(system: System, customer: Customer) -> None:
    await configure(system, unclear_answer="keep")
    yes = system.whatsapp.sent[-1].choices[0]
    await customer.write("What is the fee?")
    await customer.until_received(2)

    await press(customer, yes)
    await customer.until_received(3)

    assert len(system.endpoints.calls) == 1


@pytest.mark.parametrize("replied", [True, False])
async def test_words_from_before_the_question_make_no_later_yes_doubtful(
    system: System, customer: Customer, *, replied: bool
) -> None:
    """They came late; but a reply to them that reached the customer does, for the yes may be to that."""
    await configure(system, unclear_answer="keep")
    if not replied:
        system.whatsapp.failures.append(SendFailed(SendFailureKind.RECIPIENT_FINAL, "no such number"))
    await customer.write("Are you there?", timestamp=at(0))
    await until("the reply's end", lambda: system.database.rows(_ENDED), lambda ended: len(ended) == 2)
    await customer.until_idle()

    await customer.write("yes")
    await customer.until_received(3 if replied else 2)

    assert len(system.endpoints.calls) == int(not replied)


_ENDED = "SELECT 1 FROM effects WHERE kind = 'part' AND status IN ('confirmed', 'failed')"


async def test_words_over_the_limit_say_otherwise_too(postgres_url: str, temporal_address: str) -> None:
    limits = {"channel_customer_messages_burst": 2, "channel_customer_messages_per_minute": 0.001}
    limits["over_limit_wait_seconds"] = 0.5
    async with running_system(postgres_url, temporal_address, **SETTINGS, **limits) as system:
        await configure(system)
        customer = Customer(system)
        system.perplexity.scripts.append(CALL)
        await customer.write("Cancel my order")
        await customer.until_received(1)
        await customer.until_idle()
        await system.database.rows("UPDATE effects SET settled_at = settled_at - interval '30 s' WHERE kind = 'part'")

        await customer.send(written("yes"), written("Stop, I meant the other one"))
        await customer.until_received(2)

    assert system.endpoints.calls == []


async def press(customer: Customer, choice: Choice) -> None:
    button = {"type": "button_reply", "button_reply": {"id": choice.id, "title": choice.title}}
    await customer.send(written("", type="interactive", text=None, interactive=button))


@pytest.mark.parametrize(
    "pressed",
    [
        {"type": "button", "button": {"payload": "promo-2026-yes", "text": "Yes"}},
        {"type": "button", "button": {"text": "Yes"}},
        {"interactive": {"type": "button_reply", "button_reply": {"id": "survey:helpful:yes", "title": "Yes"}}},
        {"interactive": {"type": "list_reply", "list_reply": {"id": "row-7", "title": "OK"}}},
    ],
)
async def test_a_button_of_something_else_is_no_yes(
    system: System, customer: Customer, pressed: dict[str, Any]
) -> None:
    await customer.send(written("", **{"type": "interactive", "text": None} | pressed))
    await customer.until_received(2)

    assert system.endpoints.calls == []
    assert len(system.perplexity.prompts) == 2


async def test_a_second_press_after_the_deed_is_told_that_it_is_done(system: System, customer: Customer) -> None:
    yes, no = system.whatsapp.sent[-1].choices
    await press(customer, yes)
    await customer.until_received(2)
    asked = len(system.perplexity.prompts)

    await press(customer, yes)
    await customer.until_received(3)
    await press(customer, no)

    assert (await customer.until_received(4))[2:] == [Texts().action_done] * 2
    assert (len(system.endpoints.calls), len(system.perplexity.prompts)) == (1, asked)


async def test_a_press_after_a_no_is_told_that_it_was_not_done(system: System, customer: Customer) -> None:
    yes = system.whatsapp.sent[-1].choices[0]
    await customer.write("no")
    await customer.until_received(2)

    await press(customer, yes)

    assert (await customer.until_received(3))[1:] == [Texts().cancelled] * 2
    assert system.endpoints.calls == []


@pytest.mark.parametrize(("approved", "words"), [(True, Texts().action_done), (False, Texts().declined)])
async def test_a_press_after_a_colleague_decided_is_told_what_they_decided(
    system: System, customer: Customer, approved: bool, words: str
) -> None:
    yes = system.whatsapp.sent[-1].choices[0]
    [question] = (await customer.session())["questions"]
    body = {"approved": approved, "agent_name": "Ann"}
    path = f"/api/session/{customer.phone}/questions/{question['id']}?channel=whatsapp"
    assert (await system.http.post(path, json=body)).status_code == 200
    await customer.until_received(2)

    await press(customer, yes)

    assert (await customer.until_received(3))[2] == words


async def test_a_button_of_ours_that_nobody_knows_is_the_models(system: System, customer: Customer) -> None:
    await press(customer, Choice(id="confirm:" + "0" * 64, title="Yes"))
    await customer.until_received(2)

    assert (len(system.endpoints.calls), len(system.perplexity.prompts)) == (0, 2)


async def test_the_button_of_an_older_question_leaves_the_newer_one_open(system: System, customer: Customer) -> None:
    old = system.whatsapp.sent[-1].choices[0]
    ticket = {"subject": "Lamp", "description": "Broken"}
    system.perplexity.scripts.append(json.dumps({"action": "create_ticket", "reason": "r", "metadata": ticket}))
    await customer.write("Open a ticket rather")
    await customer.until_received(2)

    await press(customer, old)

    assert (await customer.until_received(3))[2] == Texts().dropped
    assert system.endpoints.calls == []
    assert len(system.perplexity.prompts) == 2
    [question] = await system.database.rows("SELECT name FROM actions WHERE status = 'awaiting_confirmation'")
    assert question["name"] == "create_ticket"
