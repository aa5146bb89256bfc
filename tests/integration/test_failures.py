"""The model fails: what is tried again, how often, and what the customer is told at last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from integrations.perplexity.double import Said, words
from integrations.perplexity.port import AskFailed, ModelPrompt
from schemas.failures import MODEL_FAILURES, Certainty, ModelFailureKind
from tests.support.clock import MovableClock
from tests.support.shop import output
from tests.system_in_process import System, running_system

RETRIED = [kind for kind, policy in MODEL_FAILURES.items() if policy.retried and kind is not ModelFailureKind.ABANDONED]
FINAL = [kind for kind, policy in MODEL_FAILURES.items() if not policy.retried]


@pytest.mark.parametrize("kind", RETRIED)
async def test_a_passing_failure_is_tried_again(system: System, kind: ModelFailureKind) -> None:
    system.perplexity.scripts.append(AskFailed(kind, "for once", retry_after=0.01, partial="half an ans"))

    turn = (await system.send("Hello")).json()

    assert turn["reply"]["text"] == "You said: Hello"
    assert [attempt["failure"] for attempt in turn["attempts"]] == [kind, None]


@pytest.mark.parametrize("kind", FINAL)
async def test_a_final_failure_is_apologised_for_at_once(system: System, kind: ModelFailureKind) -> None:
    system.perplexity.scripts.append(AskFailed(kind, "for good"))

    turn = (await system.send("Hello")).json()

    assert "sorry" in turn["reply"]["text"]
    assert turn["verdict"] is None
    assert len(system.perplexity.prompts) == 1


async def test_a_wrapper_that_is_away_costs_no_try_and_no_call(system: System) -> None:
    away = 3 * system.settings.turn_attempts
    system.perplexity.scripts.extend(AskFailed(ModelFailureKind.CONNECT, "away", retry_after=0.01) for _ in range(away))

    turn = (await system.send("Hello")).json()

    assert turn["reply"]["text"] == "You said: Hello"
    assert [attempt["failure"] for attempt in turn["attempts"]] == ["connect", None]
    [calls] = await system.database.rows("SELECT count(*) AS made FROM account_calls")
    assert calls["made"] == 1


async def test_one_that_stays_away_is_apologised_for(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, perplexity_patience_seconds=0.001) as system:
        tries = 1 + system.settings.turn_attempts  # the first was waited out
        scripts = [AskFailed(ModelFailureKind.SESSION, "away", retry_after=0.01) for _ in range(tries)]
        system.perplexity.scripts.extend(scripts)

        turn = (await system.send("Hello")).json()

        assert "sorry" in turn["reply"]["text"]
        assert len(system.perplexity.prompts) == tries


UNREACHABLE = [AskFailed(ModelFailureKind.GATEWAY, "502", retry_after=0.01) for _ in range(3)]
"""More than the two tries of these tests."""
ANSWER = "We do."


@pytest.mark.parametrize(
    ("reached", "failures"),
    [
        (output("create_ticket"), ["gateway", None, "gateway", None]),  # of no use: a repair follows
        (AskFailed(ModelFailureKind.CUT, "cut", retry_after=0.01), ["gateway", "cut", "gateway", None]),
    ],
)
async def test_each_outage_of_a_turn_is_waited_out(
    postgres_url: str, temporal_address: str, reached: Said, failures: list[str | None]
) -> None:
    clock = MovableClock()
    async with running_system(postgres_url, temporal_address, now=clock, turn_attempts=2) as system:
        later = _later(clock, system.settings.perplexity_patience_seconds, reached)
        system.perplexity.scripts.extend([UNREACHABLE[0], later, *UNREACHABLE, ANSWER])

        turn = (await system.send("Do you deliver?")).json()

    assert turn["reply"]["text"] == ANSWER
    assert [attempt["failure"] for attempt in turn["attempts"]] == failures


async def test_an_outage_goes_on_though_the_worker_stops_in_it(postgres_url: str, temporal_address: str) -> None:
    """What a dropped question shows is nothing of upstream."""
    clock = MovableClock()
    async with running_system(postgres_url, temporal_address, now=clock, turn_attempts=2) as system:
        dropped = AskFailed(ModelFailureKind.ABANDONED, "the worker stopped", retry_after=0.01)
        later = _later(clock, system.settings.perplexity_patience_seconds, dropped)
        system.perplexity.scripts.extend([UNREACHABLE[0], later, *UNREACHABLE, ANSWER])

        turn = (await system.send("Do you deliver?")).json()

    assert "sorry" in turn["reply"]["text"]


async def test_outages_in_turn_with_lost_answers_end_with_the_tries(system: System) -> None:
    cut = AskFailed(ModelFailureKind.CUT, "cut", retry_after=0.01)
    system.perplexity.scripts.extend(each for _ in range(9) for each in (UNREACHABLE[0], cut))

    turn = (await system.send("Hello")).json()

    assert "sorry" in turn["reply"]["text"]
    assert len(system.perplexity.prompts) == 2 * (1 + system.settings.turn_reasks_after_unknown)


def _later(clock: MovableClock, seconds: float, said: Said) -> Callable[[ModelPrompt], Said]:
    def script(_: ModelPrompt) -> Said:
        clock.ahead += timedelta(seconds=seconds)
        return said

    return script


async def test_tries_are_bounded_and_the_conversation_stays_intact(system: System) -> None:
    before = (await system.send("First")).json()
    system.perplexity.scripts.extend(AskFailed(ModelFailureKind.UPSTREAM, "down", retry_after=0.01) for _ in range(4))

    sorry = (await system.send("Second")).json()
    after = (await system.send("Third")).json()

    assert "sorry" in sorry["reply"]["text"]
    assert [attempt["failure"] for attempt in sorry["attempts"]] == ["upstream"] * 4
    assert after["reply"]["text"] == "You said: Third"
    assert system.perplexity.prompts[-1].backend_uuid == before["thread"]["backend_uuid"]


async def test_what_may_have_been_asked_is_asked_again_at_most_twice(system: System) -> None:
    assert MODEL_FAILURES[ModelFailureKind.CUT].certainty is Certainty.UNKNOWN
    system.perplexity.scripts.extend(AskFailed(ModelFailureKind.CUT, "cut", retry_after=0.01) for _ in range(9))

    await system.send("Hello")

    assert len(system.perplexity.prompts) == 1 + system.settings.turn_reasks_after_unknown


async def test_two_attempts_alive_at_once_give_one_reply(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, turn_timeout_seconds=1.0) as system:
        system.perplexity.gate.clear()
        sending = asyncio.create_task(system.send("Hello"))
        await system.until_asked(2)
        system.perplexity.gate.set()
        turn = (await sending).json()

        replies = await system.database.rows("SELECT text FROM messages WHERE direction = 'out'")
        assert [reply["text"] for reply in replies] == [turn["reply"]["text"]] == ["You said: Hello"]


async def test_a_very_long_message_is_shortened_and_the_customer_is_told(system: System) -> None:
    system.perplexity.room_bytes = 8_000

    turn = (await system.send("begin " + "long " * 3_000 + " end")).json()

    assert turn["reply"]["text"].startswith("(Your message was very long")
    asked = words(system.perplexity.prompts[0])
    assert asked.startswith("begin ")
    assert asked.endswith(" end")
    assert len(system.perplexity.prompts[0].text) <= 8_000


async def test_an_accounts_calls_in_flight_are_limited(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, perplexity_account_calls_in_flight=2) as system:
        system.perplexity.gate.clear()
        sending = [asyncio.create_task(system.send("Hello", customer=f"c-{n}")) for n in range(5)]
        await system.until_asked(2)
        busy = len(system.perplexity.prompts)
        system.perplexity.gate.set()
        answered = [(await each).status_code for each in sending]

    assert busy == 2
    assert answered == [200] * 5


ALARMING = {
    ModelFailureKind.LIMIT: "default",
    ModelFailureKind.ACCOUNT: "default",
    ModelFailureKind.UNKNOWN_SHAPE: "a shape nobody knows: fields blocks, status; blocks answer_canvas(canvas_block)",
}
"""What each alarm is about."""


@pytest.mark.parametrize("kind", ALARMING)
async def test_what_somebody_has_to_see_to_is_one_row_however_often_it_is_met(
    system: System, kind: ModelFailureKind
) -> None:
    blocks = "answer_canvas" if kind is ModelFailureKind.UNKNOWN_SHAPE else ""
    failed = AskFailed(kind, ALARMING[ModelFailureKind.UNKNOWN_SHAPE], said="Secret words", blocks=blocks)
    system.perplexity.scripts.extend([failed, failed])

    replies = [(await system.send("Hello", customer=each)).json()["reply"]["text"] for each in ("c-1", "c-2")]

    [alarm] = await system.database.rows("SELECT * FROM alarms")
    assert (alarm["kind"], alarm["subject"], alarm["times"]) == (kind, ALARMING[kind], 2)
    assert alarm["first_at"] < alarm["last_at"]
    assert "Secret" not in str(dict(alarm))
    assert all("sorry" in reply for reply in replies)
    assert len(system.perplexity.prompts) == 2  # each was put once
