"""Over HTTP a question is put once its caller reads it: before that no yes means it. Over by then it is not put, but
what came of it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, Texts
from tests.integration.test_held_messages import set_state
from tests.support.shop import BOOK, CANCEL, output
from tests.support.waiting import until
from tests.system_in_process import System, running_system

TICKET = output("create_ticket", subject="Lamp", description="Broken lamp")
CANCELS = output("api_call", endpoint="cancel_order", params={})
ASKS = "Shall I do this: Cancels?\nPlease answer yes or no."


@pytest.fixture
async def hasty(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A caller was told that their message is still being answered, and has not come back; the question is there."""
    async with running_system(postgres_url, temporal_address, reply_wait_seconds=1.0) as system:
        actions = AssistantActions(endpoints=(CANCEL,), unclear_answer="keep")
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        system.perplexity.scripts.append(CANCELS)
        system.perplexity.gate.clear()
        assert (await system.send("What happens if I cancel?", message_id="m-1")).status_code == 503
        system.perplexity.gate.set()
        await until("the question", lambda: system.database.rows("SELECT status FROM actions"), bool)
        yield system


async def read(system: System) -> tuple[int, Any]:
    response = await system.send("What happens if I cancel?", message_id="m-1")
    return response.status_code, (response.json()["reply"] or {}).get("text")


async def test_an_ok_to_something_else_is_no_yes(hasty: System) -> None:
    second = await hasty.send("ok", message_id="m-2")

    assert second.json()["reply"]["text"] == "You said: ok"
    assert hasty.endpoints.calls == []


async def test_once_it_is_read_a_yes_counts(hasty: System) -> None:
    assert await read(hasty) == (200, ASKS)
    await hasty.send("yes", message_id="m-2")

    await until("the call", lambda: hasty.endpoints.calls)
    assert len(hasty.endpoints.calls) == 1


@pytest.mark.parametrize(("state", "told"), [("human_handoff", (202, None)), ("closed", (200, Texts().dropped))])
async def test_over_by_then_it_is_not_put(hasty: System, state: str, told: tuple[int, Any]) -> None:
    await set_state(hasty, state)

    assert await read(hasty) == told


@pytest.mark.parametrize("came_back", [False, True])
async def test_what_a_take_over_ended_is_the_persons_and_asked_anew_after_the_release(
    hasty: System, *, came_back: bool
) -> None:
    """As a question over a channel that was withheld."""
    await set_state(hasty, "human_handoff")
    held = (await hasty.session())["held"]
    if came_back:
        assert await read(hasty) == (202, None)
    await set_state(hasty, "bot")

    assert held == 1
    told = await until("an answer", lambda: read(hasty), lambda told: told[0] != 503)
    assert told == (200, "You said: What happens if I cancel?")
    assert (await hasty.session())["held"] == 0


async def test_what_was_read_before_the_take_over_is_not_asked_anew(hasty: System) -> None:
    before = await read(hasty)
    await set_state(hasty, "human_handoff")
    held = (await hasty.session())["held"]
    await set_state(hasty, "bot")

    assert (held, await read(hasty)) == (0, before)
    assert len(hasty.perplexity.prompts) == 1


async def test_what_was_read_is_read_again(hasty: System) -> None:
    """The same message, the same answer."""
    before = await read(hasty)
    await set_state(hasty, "closed")

    assert await read(hasty) == before


@pytest.fixture
async def unread(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """Callers give up before the model has answered; a ticket waits for staff, a cancellation for the customer."""
    async with running_system(postgres_url, temporal_address, reply_wait_seconds=1.0) as system:
        actions = AssistantActions(endpoints=(CANCEL,), confirmations={"create_ticket": Confirmation.STAFF})
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        system.perplexity.gate.clear()
        yield system


async def asks(system: System, wants: str, text: str = "Please do", message_id: str = "m-1") -> None:
    """The caller is told to come again, and what was asked waits."""
    system.perplexity.scripts.append(wants)
    system.perplexity.gate.clear()
    assert (await system.send(text, message_id=message_id)).status_code == 503
    system.perplexity.gate.set()
    await until("what waits", lambda: system.session(), lambda session: session["questions"])


async def decide(system: System, question: dict[str, Any] | None = None, *, approved: bool = True) -> None:
    if question is None:
        [question] = (await system.session())["questions"]
    decision = {"approved": approved, "agent_name": "Ann"}
    path = f"/api/session/c-1/questions/{question['id']}"
    decided = await until(
        "a decision", lambda: system.http.post(path, json=decision), lambda answer: answer.status_code != 503
    )
    assert decided.status_code in {200, 404}  # the latter: it was made, while its caller was told to come again


async def reads(system: System, text: str = "Please do", message_id: str = "m-1") -> str | None:
    """What is answered, however often the caller is told to come again."""

    async def read() -> httpx2.Response:
        return await system.send(text, message_id=message_id)

    answer = await until("an answer", read, lambda answer: answer.status_code != 503)
    reply = answer.json()["reply"]
    return None if reply is None else str(reply["text"])


@pytest.mark.parametrize(
    ("wants", "approved", "told"),
    [
        (TICKET, True, "I have opened a ticket for you. Its number is T-1001."),
        (TICKET, False, Texts().declined),
        (CANCELS, True, Texts().action_done),
        (CANCELS, False, Texts().declined),
    ],
)
async def test_decided_by_staff_what_came_of_it_is_told(
    unread: System, wants: str, told: str, *, approved: bool
) -> None:
    await asks(unread, wants)
    await decide(unread, approved=approved)

    assert await reads(unread) == told
    assert await reads(unread) == told


async def test_what_nobody_knows_is_told_as_that(unread: System) -> None:
    unread.endpoints.outcomes.append(EndpointFailed(CallFailureKind.UNKNOWN, "the connection broke"))
    await asks(unread, CANCELS)
    await decide(unread)

    assert await reads(unread) == Texts().action_unknown


async def test_while_a_person_has_the_conversation_they_tell_it(unread: System) -> None:
    await asks(unread, TICKET)
    await set_state(unread, "human_handoff")
    await decide(unread)

    assert await reads(unread) is None
    await set_state(unread, "bot")
    assert await reads(unread) == "I have opened a ticket for you. Its number is T-1001."


async def test_behind_a_newer_question_it_is_told_that_it_was_set_aside(unread: System) -> None:
    await asks(unread, CANCELS)
    unread.perplexity.scripts.append(CANCELS)

    assert await reads(unread, "Hello? Cancel it!", "m-2") == ASKS
    assert await reads(unread) == Texts().replaced


@pytest.mark.parametrize("first", [CANCELS, "Shall I wrap it as a present?"])
async def test_an_ok_to_words_that_are_read_after_a_question_is_in_doubt(unread: System, first: str) -> None:
    """They were said before it."""
    unread.perplexity.scripts.append(first)
    assert (await unread.send("Please do", message_id="m-1")).status_code == 503
    unread.perplexity.gate.set()
    unread.perplexity.scripts.append(CANCELS)
    assert await reads(unread, "Hello? Cancel it!", "m-2") == ASKS
    read = await reads(unread)

    assert read == (Texts().replaced if first == CANCELS else first)
    assert await reads(unread, "ok", "m-3") == "You said: ok"
    assert unread.endpoints.calls == []


async def test_an_answer_that_is_fetched_again_while_a_question_is_open_leaves_doubt(unread: System) -> None:
    """That it was read before nobody noted, for no question was open: what is read last may be what is meant."""
    unread.perplexity.gate.set()
    assert await reads(unread, "Hello", "m-0") == "You said: Hello"
    unread.perplexity.scripts.append(CANCELS)
    assert await reads(unread) == ASKS
    assert await reads(unread, "Hello", "m-0") == "You said: Hello"

    assert await reads(unread, "ok", "m-2") == "You said: ok"
    assert (len((await unread.session())["questions"]), unread.endpoints.calls) == (1, [])


async def test_what_came_of_it_is_told_and_not_of_the_same_that_was_asked_about_since(unread: System) -> None:
    """Two tickets in the same words: the one that nobody read of was opened, the other declined."""
    await asks(unread, TICKET)
    unread.perplexity.scripts.append(TICKET)
    await reads(unread, "Hello? A ticket, please!", "m-2")
    second, first = (await unread.session())["questions"]
    await decide(unread, first)
    await decide(unread, second, approved=False)

    assert await reads(unread) == "I have opened a ticket for you. Its number is T-1001."


async def test_what_was_done_for_it_before_is_not_denied_by_what_came_of_the_same_since(unread: System) -> None:
    actions = AssistantActions(endpoints=(BOOK, CANCEL))
    await unread.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    unread.perplexity.scripts.append(output("api_call", endpoint="book", params={}))
    await asks(unread, CANCELS)
    unread.perplexity.scripts.append(CANCELS)
    await reads(unread, "Hello? Cancel it!", "m-2")
    unread.endpoints.outcomes.append(EndpointFailed(CallFailureKind.REFUSED, "too late"))

    assert await reads(unread, "yes", "m-3") == Texts().action_failed
    assert await reads(unread) == Texts().action_done  # the booking


async def test_what_was_done_is_not_denied_once_the_same_is_asked_about_a_third_time(unread: System) -> None:
    await asks(unread, CANCELS)
    for number in (2, 4):
        unread.perplexity.scripts.append(CANCELS)
        assert await reads(unread, "Hello? Cancel it!", f"m-{number}") == ASKS
        if number == 2:
            await reads(unread, "yes", "m-3")
    assert len(unread.endpoints.calls) == 1

    assert await reads(unread) == Texts().action_done
