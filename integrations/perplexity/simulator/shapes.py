"""An answer in the shapes of the real messages: 54 fields in the last one, as recorded from the wrapper.

What is private in the real ones is here as well, made up and marked PRIVATE, so that dropping it can be tested.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from integrations.perplexity.simulator.script import ScriptedSource

PRIVATE = "PRIVATE-SIMULATOR"

_CHUNK = re.compile(r".{1,18}(?=\s|$)|.{1,18}", re.DOTALL)
_STREAMED_CHARACTERS = 20_000
"""A longer text comes in one chunk: each text frame repeats the whole text so far."""


class Form(Enum):
    """Where the words stand in the messages."""

    PATCHES = auto()  #: a block `ask_text`, streamed as patches; the last one is whole
    WHOLE_BLOCKS = auto()  #: the same as whole blocks with `chunk_starting_offset`: the rarer kind of stream
    WORKFLOW = auto()  #: a block `workflow_root`, in the last message alone
    PLAIN_TEXT = auto()  #: the last message's `text`, and no block
    UNKNOWN = auto()  #: a block that nobody has seen yet


@dataclass(frozen=True)
class Said:
    """One answer and where it belongs."""

    question: str
    text: str
    sources: list[ScriptedSource]
    backend_uuid: str
    context_uuid: str
    slug: str
    mode: str = "auto"
    collection_uuid: str | None = None
    form: Form = Form.PATCHES


@dataclass(frozen=True)
class Timed:
    """A message, and the second it comes at with pace 1 (as recorded: first text at 3.8 s)."""

    at: float
    message: dict[str, Any]


def messages_of(said: Said) -> list[Timed]:
    """Everything upstream says, in order; the last one counts."""
    before = [Timed(at, _message(said, blocks)) for at, blocks in _search(said)]
    if said.form not in (Form.PATCHES, Form.WHOLE_BLOCKS):
        return [*before, Timed(before[-1].at + 0.5, last_message(said))]
    chunks = chunks_of(streamed_text(said))
    text = [Timed(3.8 + 0.058 * n, _message(said, [block])) for n, block in enumerate(_text_blocks(said, chunks))]
    end = text[-1].at
    return [*before, *text, Timed(end + 0.22, last_message(said))]


def streamed_text(said: Said) -> str:
    """Citations are numbered otherwise while text streams: the recorded answer was renumbered in its last message."""
    cited = sorted(set(re.findall(r"\[([1-9])\]", said.text)))
    other = dict(zip(cited, reversed(cited), strict=True))
    return re.sub(r"\[([1-9])\]", lambda found: f"[{other[found.group(1)]}]", said.text)


def chunks_of(text: str) -> list[str]:
    """About 16 characters each, as recorded (1,917 characters in 118 chunks); joined they are *text*."""
    return _CHUNK.findall(text) if 0 < len(text) <= _STREAMED_CHARACTERS else [text]


def last_message(said: Said) -> dict[str, Any]:
    """The completed one, with whole blocks and every field that was recorded."""
    return {
        **_ids(said),
        **_kinds(said),
        **_private(said),
        **_words(said),
        **_standing(),
        "frontend_uuid": _uuid(said, "frontend"),
        "user_selected_model": "turbo",
        "query_source": "collection" if said.collection_uuid else "default",
        "plan": {"goals": [_goal("Answering the question.", final=True)], "final": True},
        "blocks": _last_blocks(said),
        "status": "COMPLETED",
        "step_type": "FINAL",
        "message_mode": "FULL",
        "text_completed": True,
        "final": True,
        "final_sse_message": True,
    }


def _words(said: Said) -> dict[str, Any]:
    """Where the last message repeats the question and the answer."""
    more = f"More about {said.question[:60]}"
    return {
        "query_str": said.question,
        "thread_title": said.question[:120],
        "text": _text(said),
        "related_queries": [more],
        "related_query_items": [{"text": more, "type": "DEFAULT"}],
    }


def _standing() -> dict[str, Any]:
    """Fields of the last message that nobody here reads."""
    now = datetime.now(UTC)
    return {
        "personalized": True,
        "updated_datetime": now.replace(tzinfo=None).isoformat(),
        "entry_updated_datetime": now.isoformat(),
        "is_pro_reasoning_mode": False,
        "bookmark_state": "NOT_BOOKMARKED",
        "s3_social_preview_url": "https://img.invalid/preview.png",
        "thread_access": 1,
        "prompt_source": "user",
        "privacy_state": "NONE",
        "sources": {"sources": ["web"]},
        "access_level": "PRIVATE_READ",
        "reconnectable": False,
        "classifier_results": {"personal_search": False, "skip_search": False, "widget_type": "GENERAL"},
        "search_implementation_mode": "multi_step",
        "telemetry_data": {"has_first_token": True, "is_followup": False, "source": "default", "engine_mode": "auto"},
        "updated_memory_data": {"updated_memories": [], "show_simplified_widget": True},
        "has_expired_attachments": False,
        "_extras": {"next": None, "country": None, "subdomain": None, "pro_search_mode": None, "core_elapsed": 1.0},
    }


def _message(said: Said, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        **_ids(said),
        **_kinds(said),
        "read_write_token": f"{PRIVATE}-token",
        "is_pro_reasoning_mode": False,
        "text_completed": False,
        "blocks": blocks,
        "message_mode": "STREAMING",
        "reconnectable": True,
        "search_implementation_mode": "multi_step",
        "status": "PENDING",
        "final_sse_message": False,
    }


def _ids(said: Said) -> dict[str, Any]:
    return {
        "backend_uuid": said.backend_uuid,
        "context_uuid": _uuid(said, "context"),
        "uuid": _uuid(said, "entry"),
        "frontend_context_uuid": said.context_uuid,
        "thread_url_slug": said.slug,
        "cursor": _uuid(said, "cursor"),
    }


def _kinds(said: Said) -> dict[str, Any]:
    return {
        "display_model": "turbo" if said.mode == "auto" else "pplx_pro",
        "mode": "CONCISE" if said.mode == "auto" else "COPILOT",
        "search_focus": "internet",
        "source": "default",
        "attachments": [],
        "expect_search_results": "true" if said.sources else "false",
        "gpt4": False,
        "answer_modes": [{"answer_mode_type": "IMAGE", "has_preview": False}, {"answer_mode_type": "SOURCES"}],
        "image_completions": [],
    }


def _private(said: Said) -> dict[str, Any]:
    return {
        "read_write_token": f"{PRIVATE}-token",
        "author_id": f"{PRIVATE}-author-id",
        "author_username": f"{PRIVATE}-author-name",
        "author_image": f"https://img.invalid/{PRIVATE}.png",
        "collection_info": {
            "number": 1001,
            "uuid": said.collection_uuid,
            "slug": "simulated-space",
            "title": "Simulated Space",
            "description": "",
            "emoji": "",
            "instructions": f"{PRIVATE}-instructions: the whole instructions of the Space stand here.",
            "suggested_queries": [],
            "access": 1,
            "access_level": "PRIVATE_READ",
        },
    }


def _search(said: Said) -> Iterator[tuple[float, list[dict[str, Any]]]]:
    """What comes before the first text: steps, tabs, a plan that grows, results, a few messages without blocks."""
    steps = [{"uuid": "", "step_type": "INITIAL_QUERY", "initial_query_content": {"query": said.question}}]
    yield 0.46, [_whole("pro_search_steps", "plan_block", _plan("IN_PROGRESS", [], steps))]
    yield 0.55, [_diff("answer_tabs", "answer_tabs_block", _replace("", _tabs()))]
    yield 0.77, [_diff("answer_tabs", "answer_tabs_block", _add("/reformulated_queries/0", said.question[:80]))]
    yield 1.15, [_diff("plan", "plan_block", _replace("", _plan("IN_PROGRESS", [_goal("Answ")], None)))]
    for at, words in ((1.17, "Answering the"), (1.19, "Answering the question."), (1.26, "Answering the question…")):
        yield at, [_diff("plan", "plan_block", _replace("/goals/0/description", words))]
    yield (
        1.84,
        [
            _diff("plan", "plan_block", _replace("/goals/0/final", True)),
            _diff("pro_search_steps", "plan_block", _add("/steps/1", {"step_type": "SEARCH_WEB"})),
        ],
    )
    results = {"progress": "DONE", "web_results": [_result(source) for source in said.sources]}
    yield 2.63, [_diff("web_results", "web_result_block", _replace("", results))]
    yield 2.93, []
    yield (
        3.64,
        [
            _diff(
                "plan",
                "plan_block",
                _replace("/progress", "DONE"),
                {"op": "remove", "path": "/goals/0/step_ids"},
            )
        ],
    )


def _text_blocks(said: Said, chunks: list[str]) -> Iterator[dict[str, Any]]:
    for n, chunk in enumerate(chunks):
        so_far = "".join(chunks[: n + 1])
        if said.form is Form.WHOLE_BLOCKS:
            block = {"progress": "IN_PROGRESS", "chunks": [chunk], "chunk_starting_offset": n, "answer": None}
            yield _whole("ask_text", "markdown_block", block)
        elif n == 0:
            first = {"progress": "IN_PROGRESS", "chunks": [chunk], "chunk_starting_offset": 0, "answer": so_far}
            yield _diff("ask_text", "markdown_block", _replace("", first))
        else:
            yield _diff("ask_text", "markdown_block", _add(f"/chunks/{n}", chunk), _replace("/answer", so_far))


def _last_blocks(said: Said) -> list[dict[str, Any]]:
    results = [_result(source) for source in said.sources]
    text = {
        "progress": "DONE",
        "chunks": chunks_of(streamed_text(said)),  # not renumbered, as recorded
        "chunk_starting_offset": 0,
        "answer": said.text,
    }
    spoken = {
        Form.WORKFLOW: [_whole("workflow_root", "workflow_block", _workflow(said))],
        Form.PLAIN_TEXT: [],
        Form.UNKNOWN: [_whole("answer_canvas", "canvas_block", {"progress": "DONE", "pages": [{"body": said.text}]})],
    }
    return [
        _whole("plan", "plan_block", _plan("DONE", [_goal("Answering the question.", final=True)], None)),
        _whole("pro_search_steps", "plan_block", _plan("DONE", [], [])),
        *spoken.get(said.form, [_whole("ask_text", "markdown_block", text)]),
        _whole("web_results", "web_result_block", {"progress": "DONE", "web_results": results}),
        _whole("answer_tabs", "answer_tabs_block", _tabs()),
        _whole(
            "sources_answer_mode",
            "sources_mode_block",
            {"answer_mode_type": "SOURCES", "progress": "DONE", "web_results": results},
        ),
    ]


def refused_message(code: str, words: str) -> dict[str, Any]:
    """A last message that says that there is no answer."""
    return {
        "status": "FAILED",
        "final_sse_message": True,
        "text_completed": True,
        "error_code": code,
        "text": words,
        "blocks": [],
    }


def _workflow(said: Said) -> dict[str, Any]:
    """Steps with payloads: one that is only thought, then the answer."""
    spoken = [("thought", f"{PRIVATE}-thought"), ("answer", said.text)]
    items = [
        {"payload": {"text_payload": {"variant": variant, "text": text, "chunks": chunks_of(text)}}}
        for variant, text in spoken
    ]
    return {"progress": "DONE", "steps": [{"items": items}]}


def _text(said: Said) -> str | list[dict[str, Any]]:
    """The last message's `text`: its steps; where the words stand elsewhere, nothing or they themselves."""
    if said.form is Form.PLAIN_TEXT:
        return said.text
    return [] if said.form in (Form.WORKFLOW, Form.UNKNOWN) else _steps(said)


def _steps(said: Said) -> list[dict[str, Any]]:
    final = json.dumps({"answer": said.text, "web_results": [_result(source) for source in said.sources]})
    return [
        {"step_type": "INITIAL_QUERY", "content": {"query": said.question}, "uuid": ""},
        {"step_type": "FINAL", "content": {"answer": final}, "uuid": ""},
    ]


def _result(source: ScriptedSource) -> dict[str, Any]:
    flags = ("attachment", "image", "code_interpreter", "knowledge_card", "navigational", "widget")
    more = ("focused_web", "client_context", "memory", "conversation_history")
    return {
        "name": source.name,
        "snippet": source.snippet,
        "timestamp": "2026-11-01T09:00:00",
        "url": source.url,
        "meta_data": {"client": "web", "date": "2026-11-01T09:00:00", "description": None, "images": [], "authors": []},
        **{f"is_{flag}": False for flag in (*flags, *more)},
    }


def _tabs() -> dict[str, Any]:
    kinds = ("ANSWER", "IMAGE", "SOURCES")
    return {"modes": [{"answer_mode_type": kind, "has_preview": None} for kind in kinds], "reformulated_queries": []}


def _plan(progress: str, goals: list[dict[str, Any]], steps: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {"progress": progress, "goals": goals, "steps": steps, "final": progress == "DONE"}


def _goal(description: str, *, final: bool = False) -> dict[str, Any]:
    return {"id": "0", "description": description, "final": final, "todo_task_status": "INCOMPLETE", "step_ids": None}


def _whole(usage: str, field: str, block: dict[str, Any]) -> dict[str, Any]:
    return {"intended_usage": usage, field: block}


def _diff(usage: str, field: str, *patches: dict[str, Any]) -> dict[str, Any]:
    return {"intended_usage": usage, "diff_block": {"field": field, "patches": list(patches)}}


def _replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _uuid(said: Said, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{said.backend_uuid}/{name}"))
