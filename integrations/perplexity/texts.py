"""Where an answer's words stand in what upstream sends, in each of the shapes that were seen.

* a block `ask_text…` with a `markdown_block`: `answer` and `chunks`, the same words twice
* a block `workflow_root` with a `workflow_block`: its steps' payloads of the variant `answer`; the others are thoughts
* the message's own `text`: plain words, or its steps as a list, or that list as JSON in a string
"""

from __future__ import annotations

import json
from typing import Any

from schemas.visible import shows_something

_ANSWERS = ("answer", "final_answer")
_MARKDOWN = frozenset({"progress", "chunks", "chunk_starting_offset", "answer"})
_KNOWN_STEPS = frozenset({"INITIAL_QUERY", "SEARCH_WEB", "SEARCH_RESULTS", "FINAL", "RESEARCH_CLARIFYING_QUESTIONS"})


def of_markdown(block: dict[str, Any]) -> str:
    """The words of a `markdown_block`. An `answer` that is only the beginning of its own chunks is not all of it."""
    return _longer(string(block.get("answer")), "".join(chunks(block)))


def of_workflow(block: dict[str, Any]) -> str:
    """What the steps of a `workflow_block` say to the reader."""
    items = [item for step in dicts(block.get("steps")) for item in dicts(step.get("items"))]
    payloads = [item.get("payload") for item in items]
    spoken = [payload.get("text_payload") for payload in payloads if isinstance(payload, dict)]
    texts = [
        _longer(string(each.get("text")), "".join(chunks(each)))
        for each in spoken
        if isinstance(each, dict) and each.get("variant") in _ANSWERS
    ]
    return "\n\n".join(text for text in texts if text)


def of_message(text: Any) -> str:
    """The words that a completed message's `text` holds; empty if it holds none that can be told from others."""
    steps = _parsed(text)
    if isinstance(steps, str):
        return steps
    final = next((step for step in steps if step.get("step_type") == "FINAL"), None)
    if final is not None:
        return _final(final)
    asking = next((step for step in steps if step.get("step_type") == "RESEARCH_CLARIFYING_QUESTIONS"), None)
    return "" if asking is None else _questions(asking)


def has_unknown_steps(text: Any) -> bool:
    """Whether a message's `text` holds something that nobody here can read."""
    steps = _parsed(text)
    return not isinstance(steps, str) and any(step.get("step_type") not in _KNOWN_STEPS for step in steps)


def has_more(block: Any) -> bool:
    """Whether a block without words, as far as they are read here, holds something in another place."""
    if not isinstance(block, dict):
        return False
    return any(value for name, value in block.items() if name not in _MARKDOWN and isinstance(value, str | list | dict))


def chunks(block: dict[str, Any]) -> list[str]:
    found = block.get("chunks")
    return [chunk for chunk in found if isinstance(chunk, str)] if isinstance(found, list) else []


def dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _longer(answer: str, joined: str) -> str:
    return joined if len(joined) > len(answer) and joined.startswith(answer) else answer


def _parsed(text: Any) -> str | list[dict[str, Any]]:
    """Steps, or plain words. JSON of another kind is words too: a model may answer so."""
    value = _json(text) if isinstance(text, str) else text
    if isinstance(value, list) and (not value or any("step_type" in each for each in dicts(value))):
        return dicts(value)
    if isinstance(value, dict) and isinstance(value.get("answer"), str):
        return str(value["answer"])
    return string(text) if shows_something(string(text)) else []


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _final(step: dict[str, Any]) -> str:
    """`content.answer` is JSON in a string, with the answer in it, or the words themselves."""
    content = step.get("content")
    answer = string(content.get("answer")) if isinstance(content, dict) else string(content)
    inner = _json(answer)
    return string(inner["answer"]) if isinstance(inner, dict) and "answer" in inner else answer


def _questions(step: dict[str, Any]) -> str:
    """What it asks back before it begins (mode `deep research`): that is its reply."""
    content = step.get("content")
    questions = content.get("questions") if isinstance(content, dict) else None
    asked = [each.get("question") if isinstance(each, dict) else each for each in questions or []]
    return "\n".join(each for each in asked if isinstance(each, str) and shows_something(each))
