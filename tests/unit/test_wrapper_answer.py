"""When an answer is accepted, what becomes of its pages, and that nothing private leaves."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.perplexity.answer import accepted_answer, sources_of
from integrations.perplexity.messages import MessagesSoFar
from integrations.perplexity.port import AskFailed, ModelPrompt
from integrations.perplexity.privacy import kept_details
from integrations.perplexity.simulator.script import ScriptedSource
from integrations.perplexity.simulator.shapes import PRIVATE, Said, last_message, messages_of
from schemas.failures import ModelFailureKind

QUESTION = ModelPrompt(text="Hours?", account_name="acct-a", frontend_context_uuid="context-1")
SAID = Said(
    question="Hours?",
    text="From 9.[1] Not on Sundays.[2]",
    sources=[ScriptedSource(name=f"Page {n}", url=f"https://pages.example/{n}") for n in (1, 2)],
    backend_uuid="backend-1",
    context_uuid="context-1",
    slug="hours-1",
)


def folded(*messages: dict[str, Any]) -> MessagesSoFar:
    so_far = MessagesSoFar()
    for message in messages:
        so_far.add(message)
    return so_far


def markdown(**block: Any) -> dict[str, Any]:
    return {"intended_usage": "ask_text", "markdown_block": {"progress": "DONE", **block}}


def completed(**changes: Any) -> dict[str, Any]:
    return {**last_message(SAID), **changes}


def test_the_last_messages_answer_wins_over_the_streamed_text() -> None:
    so_far = folded(*(timed.message for timed in messages_of(SAID)[:-1]))
    streamed = so_far.text
    so_far.add(last_message(SAID))

    answer = accepted_answer(so_far, QUESTION)

    assert streamed == "From 9.[2] Not on Sundays.[1]"
    assert answer.text == so_far.text == SAID.text
    assert (answer.backend_uuid, answer.thread_url_slug) == ("backend-1", "hours-1")
    assert [source.n for source in answer.sources] == [1, 2]


@pytest.mark.parametrize(
    "message",
    [
        completed(status="PENDING"),
        completed(final_sse_message=False),
        completed(final_sse_message=None, final=True, text_completed=True),
        completed(blocks=None, text=None),
        completed(blocks=[], text=[]),
        completed(blocks=[], text=" \n"),
        completed(blocks=[], text=[{"step_type": "INITIAL_QUERY", "content": {"query": "Hours?"}}]),
        completed(blocks=[markdown(answer=None)], text=[]),
        completed(blocks=[markdown(answer=" \n")], text=[]),
        {"answer": None, "backend_uuid": "backend-1"},
        {"progress": "IN_PROGRESS", "answer": "half", "backend_uuid": "backend-1"},
        {"progress": "DONE", "answer": None, "backend_uuid": "backend-1"},
        {"progress": "DONE", "answer": "", "backend_uuid": "backend-1"},
        {"progress": "DONE", "answer": {"not": "text"}, "backend_uuid": "backend-1"},
    ],
)
def test_nothing_less_than_a_complete_answer_is_accepted(message: dict[str, Any]) -> None:
    with pytest.raises(AskFailed) as failed:
        accepted_answer(folded(message), QUESTION)

    assert failed.value.kind is ModelFailureKind.NO_ANSWER


def test_a_completed_message_without_text_does_not_make_the_streamed_beginning_an_answer() -> None:
    begun = [timed.message for timed in messages_of(SAID)[:-2]]

    so_far = folded(*begun, completed(blocks=[], text=[]))

    assert so_far.text
    assert so_far.accepted is None


def test_the_short_shape_is_accepted_with_the_callers_thread() -> None:
    so_far = folded({"progress": "DONE", "answer": "Yes.", "backend_uuid": "backend-2"})

    answer = accepted_answer(so_far, QUESTION)

    assert (answer.text, answer.frontend_context_uuid, answer.sources) == ("Yes.", "context-1", ())


def test_an_answer_without_an_id_keeps_the_threads_earlier_one() -> None:
    so_far = folded({"progress": "DONE", "answer": "Yes.", "backend_uuid": None})
    later = QUESTION.model_copy(update={"backend_uuid": "backend-0"})

    assert accepted_answer(so_far, later).backend_uuid == "backend-0"
    with pytest.raises(AskFailed, match="no backend_uuid"):
        accepted_answer(so_far, QUESTION)


def test_only_web_addresses_become_sources_and_numbers_stay() -> None:
    urls = [
        "https://a.example/",
        "javascript:alert(1)",
        None,
        "file:///etc/passwd",
        "http://b.example",
        "https://x y",
        "//c",
    ]

    sources = sources_of(
        [{"name": "", "url": url} for url in urls] + [None, {"name": "Last", "url": "https://d.example"}]
    )

    assert [(source.n, source.title) for source in sources] == [(1, "a.example"), (5, "b.example"), (9, "Last")]


def test_no_private_value_is_in_what_leaves_the_adapter() -> None:
    assert str(last_message(SAID)).count(PRIVATE) == 5

    answer = accepted_answer(folded(last_message(SAID)), QUESTION)

    assert PRIVATE not in answer.model_dump_json()
    assert answer.details["collection"]["title"] == "Simulated Space"


def test_fields_that_upstream_invents_tomorrow_stay_outside() -> None:
    details = kept_details(
        {"session_secret": "s", "mode": "CONCISE", "thread_title": "t" * 900, "related_queries": [1, "q"]}
    )

    assert set(details) == {"mode", "thread_title", "related_queries"}
    assert len(details["thread_title"]) == 500
    assert details["related_queries"] == ["q"]
