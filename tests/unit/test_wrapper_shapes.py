"""Every shape in which upstream was seen to answer, what it marks instead of an answer, and a shape nobody knows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.perplexity.answer import accepted_answer
from integrations.perplexity.port import AskFailed
from schemas.failures import MODEL_FAILURES, ModelFailureKind, TryLimits, pause_before_retry
from tests.unit.test_wrapper_answer import QUESTION, folded, markdown

HOURS = "We are open on Monday from nine to six, and on Saturday from ten to two."
PAGES = {
    "intended_usage": "web_results",
    "web_result_block": {"progress": "DONE", "web_results": [{"name": "Lab", "url": "https://example.com/a"}]},
}


def last(*blocks: dict[str, Any], text: Any = (), **more: Any) -> dict[str, Any]:
    given = {"status": "COMPLETED", "final_sse_message": True, "text_completed": True, "backend_uuid": "b-1"}
    return {**given, "text": list(text) if text == () else text, "blocks": list(blocks), **more}


def workflow(*payloads: dict[str, Any]) -> dict[str, Any]:
    items = [{"payload": {"text_payload": payload}} for payload in payloads]
    return {"intended_usage": "workflow_root", "workflow_block": {"progress": "DONE", "steps": [{"items": items}]}}


def final_step(answer: Any) -> list[dict[str, Any]]:
    return [{"step_type": "INITIAL_QUERY"}, {"step_type": "FINAL", "content": {"answer": answer}}]


HALVES = [HOURS[:30], HOURS[30:]]
ANSWERS = {
    "whole": last(PAGES, markdown(answer=HOURS, chunks=HALVES)),
    "whole, cut short": last(markdown(answer=HOURS[:40], chunks=[HOURS])),
    "whole, chunks alone": last(markdown(answer=None, chunks=HALVES)),
    "workflow": last(PAGES, workflow({"variant": "answer", "text": HOURS, "chunks": HALVES})),
    "workflow, chunks alone": last(workflow({"variant": "answer", "chunks": HALVES})),
    "workflow with thoughts": last(
        workflow({"variant": "thought", "text": "They are rude."}, {"variant": "answer", "text": HOURS})
    ),
    "plain text": last(text=HOURS),
    "steps": last(text=final_step(HOURS)),
    "steps, JSON in a string": last(text=final_step(json.dumps({"answer": HOURS, "web_results": []}))),
    "steps as a string": last(text=json.dumps(final_step(HOURS))),
    "an error code beside it": last(markdown(answer=HOURS), error_code="SOURCES_PARTIAL"),
    "diff_blocks": last(
        {
            "intended_usage": "ask_text",
            "diff_blocks": [
                {"field": "markdown_block", "patches": [{"op": "replace", "path": "", "value": {"answer": HOURS}}]}
            ],
        }
    ),
}


@pytest.mark.parametrize("shape", ANSWERS)
def test_the_answer_is_read(shape: str) -> None:
    so_far = folded(ANSWERS[shape])

    assert accepted_answer(so_far, QUESTION).text == so_far.text == HOURS


def test_patches_of_a_workflow_are_shown_while_they_come() -> None:
    block = {"steps": [{"items": [{"payload": {"text_payload": {"variant": "answer", "chunks": ["We are"]}}}]}]}
    where = "/steps/0/items/0/payload/text_payload/chunks/1"
    patches = [[{"op": "replace", "path": "", "value": block}], [{"op": "add", "path": where, "value": " open"}]]
    messages = [
        {
            "status": "PENDING",
            "blocks": [{"intended_usage": "workflow_root", "diff_block": {"field": "workflow_block", "patches": each}}],
        }
        for each in patches
    ]

    assert [folded(*messages[:n]).text for n in (1, 2)] == ["We are", "We are open"]


def test_what_it_asks_back_before_it_searches_is_its_reply() -> None:
    questions = ["Which country?", "Which year?"]
    steps = [{"step_type": "RESEARCH_CLARIFYING_QUESTIONS", "content": {"questions": questions}}]

    assert accepted_answer(folded(last(text=json.dumps(steps))), QUESTION).text == "\n".join(questions)


@pytest.mark.parametrize("said", ['{"price": 12.5}', '{"action": "ticket_status", "reason": "r"}', "[1, 2]"])
def test_json_is_words_too(said: str) -> None:
    assert accepted_answer(folded(last(text=said)), QUESTION).text == said


MARKED = [
    ({"status": "FAILED", "error_code": "RATE_LIMIT_EXCEEDED"}, ModelFailureKind.LIMIT),
    ({"status": "FAILED", "error_code": None, "text": "You have reached your daily limit."}, ModelFailureKind.LIMIT),
    ({"status": "QUOTA_EXCEEDED"}, ModelFailureKind.LIMIT),
    ({"status": "FAILED", "error_code": "CONTENT_POLICY", "text": "No limit here."}, ModelFailureKind.REFUSED),
    ({"status": "BLOCKED"}, ModelFailureKind.REFUSED),
    ({"status": "SOMETHING_NEW"}, ModelFailureKind.REFUSED),
    ({"status": "COMPLETED", "error_code": 1234, "text": []}, ModelFailureKind.REFUSED),
    ({"status": "FAILED", "final_sse_message": False}, ModelFailureKind.REFUSED),
]


@pytest.mark.parametrize(("marks", "kind"), MARKED)
def test_what_upstream_marks_is_a_failure_of_its_own_kind(marks: dict[str, Any], kind: ModelFailureKind) -> None:
    with pytest.raises(AskFailed) as failed:
        accepted_answer(folded(last(**{"text": "", **marks})), QUESTION)

    assert failed.value.kind is kind
    assert "limit" not in failed.value.why  # upstream's words are `said`
    assert MODEL_FAILURES[ModelFailureKind.LIMIT].retried is False


def test_an_answer_after_a_mark_is_an_answer() -> None:
    marked = {"status": "FAILED", "error_code": "SOURCE_UNREACHABLE", "blocks": []}

    assert accepted_answer(folded(marked, last(markdown(answer=HOURS))), QUESTION).text == HOURS


UNKNOWN = [
    (last(PAGES, {"intended_usage": "answer_canvas", "canvas_block": {"pages": ["Secret words"]}}), "answer_canvas"),
    (last({"intended_usage": "ask_text", "prose_block": {"body": "Secret words"}}), "prose_block"),
    (last(workflow({"variant": "canvas", "text": "Secret words"})), "workflow_block{progress, steps}"),
    (last(markdown(answer=None, prose={"body": "Secret words"})), "prose"),
    (last(text=[{"step_type": "VISUAL_ANSWER", "content": "Secret words"}]), "text"),
    ({"reply": {"body": "Secret words"}, "Secret words": 1}, "reply"),
]


@pytest.mark.parametrize(("message", "name"), UNKNOWN)
def test_a_shape_that_nobody_knows_fails_once_with_its_names_and_no_words(message: dict[str, Any], name: str) -> None:
    with pytest.raises(AskFailed) as failed:
        accepted_answer(folded(message), QUESTION)

    assert failed.value.kind is ModelFailureKind.UNKNOWN_SHAPE
    assert name in failed.value.why
    assert failed.value.blocks
    assert "Secret" not in f"{failed.value.explanation}{failed.value.blocks}"
    assert pause_before_retry(failed.value.kind, TryLimits(), attempt=1, unknown_attempts=0) is None


def test_a_refusal_is_asked_twice_more_at_most() -> None:
    """The last time maybe in a new thread: upstream may have lost the old one."""
    pauses = [
        pause_before_retry(ModelFailureKind.REFUSED, TryLimits(), attempt=n, unknown_attempts=0) for n in (1, 2, 3)
    ]

    assert pauses == [5.0, 10.0, None]
