"""A thread that upstream forgot costs the customer nothing; a failure that is none of that kind changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.perplexity.double import words
from integrations.perplexity.port import AskFailed
from schemas.failures import ModelFailureKind
from tests.integration.test_take_over import configure
from tests.support.shop import BOOK, output
from tests.system_in_process import System


def failed(kind: ModelFailureKind = ModelFailureKind.UPSTREAM) -> AskFailed:
    return AskFailed(kind, "HTTP Error 400: last_backend_uuid was never given out", retry_after=0.01)


async def begun(system: System) -> dict[str, Any]:
    """A conversation; its thread."""
    await system.send("Do you deliver to Penang?")
    return dict((await system.http.get("/api/session/c-1/thread")).json())


async def test_a_new_thread_begins_with_what_was_said_and_the_old_one_stays_on_record(system: System) -> None:
    old = await begun(system)
    system.perplexity.threads_known[old["thread_url_slug"]] = False
    system.perplexity.scripts.extend([failed(), failed()])

    answer = (await system.send("And to Ipoh?")).json()
    after = (await system.http.get("/api/session/c-1/thread")).json()
    next_answer = (await system.send("Thanks")).json()

    asked = system.perplexity.prompts[3]
    assert (asked.backend_uuid, words(asked)) == (None, words(asked))
    assert "Do you deliver to Penang?" in asked.text
    assert "And to Ipoh?" in answer["reply"]["text"]
    assert after["frontend_context_uuid"] != old["frontend_context_uuid"]
    [ended] = [thread for thread in after["history"] if thread["ended_at"]]
    assert (ended["frontend_context_uuid"], ended["ended_because"]) == (old["frontend_context_uuid"], "lost")
    assert next_answer["thread"]["frontend_context_uuid"] == after["frontend_context_uuid"]


@pytest.mark.parametrize("known", [True, None])
async def test_a_thread_that_is_not_surely_gone_is_kept(system: System, known: bool | None) -> None:
    old = await begun(system)
    system.perplexity.threads_known[old["thread_url_slug"]] = known
    system.perplexity.scripts.extend([failed(), failed()])

    answer = (await system.send("And to Ipoh?")).json()

    assert answer["thread"]["frontend_context_uuid"] == old["frontend_context_uuid"]
    assert system.perplexity.prompts[3].backend_uuid == old["backend_uuid"]


@pytest.mark.parametrize("kind", [ModelFailureKind.CUT, ModelFailureKind.RATE_LIMITED, ModelFailureKind.CONNECT])
async def test_a_limit_or_a_broken_connection_is_no_sign_of_a_lost_thread(
    system: System, kind: ModelFailureKind
) -> None:
    old = await begun(system)
    system.perplexity.threads_known[old["thread_url_slug"]] = False
    system.perplexity.scripts.extend([failed(kind), failed(kind)])

    await system.send("And to Ipoh?")

    assert all(question.frontend_context_uuid == old["frontend_context_uuid"] for question in system.perplexity.prompts)


async def test_without_an_answer_the_old_thread_goes_on(system: System) -> None:
    old = await begun(system)
    system.perplexity.threads_known[old["thread_url_slug"]] = False
    system.perplexity.scripts.extend([failed()] * 4)

    await system.send("And to Ipoh?")

    after = (await system.http.get("/api/session/c-1/thread")).json()
    assert after["frontend_context_uuid"] == old["frontend_context_uuid"]


async def test_an_apology_leaves_its_turn_in_the_thread_that_it_has_come_to(system: System) -> None:
    """An action's result came in the new one; then the account fails for good."""
    await configure(system, endpoints=[BOOK])
    old = await begun(system)
    system.perplexity.threads_known[old["thread_url_slug"]] = False
    call = output("api_call", endpoint="book", params={})
    account = [failed(ModelFailureKind.ACCOUNT) for _ in range(8)]
    system.perplexity.scripts.extend([failed(), failed(), call, *account])

    answer = (await system.send("Book it")).json()

    assert answer["status"] == "apologised"
    assert answer["thread"]["frontend_context_uuid"] != old["frontend_context_uuid"]
