"""What shows nothing, by one rule: in a customer's message, staff's words, a name, a value that is confirmed."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from actions.confirmation_text import question_text
from actions.registry import Registry
from actions.visible import unseen_texts
from integrations.perplexity.messages import MessagesSoFar
from integrations.whatsapp.meta.contents import read_content
from schemas.actions import ActionRequest
from schemas.messages import MessageKind
from schemas.requests import AgentName, Note, Text
from schemas.visible import shows_something

NOTHING = {
    "white space": " \t\r\n\u00a0\u3000",
    "zero width": "\u200b\u200d\u2060\ufeff",
    "direction": "\u200f\u202e\u2066",
    "a Hangul filler": "\u3164",
    "Hangul fillers": "\u115f\u1160\uffa0",
    "an empty Braille cell": "\u2800",
    "a Mongolian selector": "\u180f",
    "to be ignored, unassigned": "\ufff0\U000e0fff\u2065",
    "tags": "\U000e0041\U000e01ef",
    "a note without a head": "\U0001d159",
    "a mark alone": "\u0301",
    "marks alone": "\u0301\u20dd\ufe0f",
    "control": "\x01\x7f",
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_seen_of_it(name: str) -> None:
    assert not shows_something(NOTHING[name])
    assert [each.message for each in unseen_texts({"plain": NOTHING[name]})] == ["nothing of it can be seen"]
    for kind in (Text, AgentName, Note):
        with pytest.raises(ValidationError):
            TypeAdapter[Any](kind).validate_python(NOTHING[name])


@pytest.mark.parametrize(
    "something", ["x", ".", "e\u0301", "1\ufe0f\u20e3", "👍🏽", "是", "नी", "\U0001fae9", "\ufffd", "\uf8ff"]
)
def test_something_is_seen_of_it(something: str) -> None:
    assert shows_something(something)
    assert shows_something(f"\u3164{something}")
    assert TypeAdapter[Any](Text).validate_python(something) == something


@pytest.mark.parametrize("name", NOTHING)
def test_a_message_that_shows_nothing_is_one_that_cannot_be_read(name: str) -> None:
    content = read_content({"type": "text", "text": {"body": NOTHING[name]}})

    assert content.kind is MessageKind.UNKNOWN


@pytest.mark.parametrize("name", NOTHING)
def test_a_value_that_shows_nothing_is_shown_as_none(name: str) -> None:
    metadata = {"subject": NOTHING[name], "description": "It is broken"}
    registry = Registry()
    request = ActionRequest(action="create_ticket", reason="r", metadata=metadata)
    rules = registry.rules_for(request)
    assert rules is not None

    assert "• Subject: –" in question_text(rules, registry.parameters_of(request), "en").splitlines()


@pytest.mark.parametrize("name", NOTHING)
def test_an_answer_that_shows_nothing_is_none(name: str) -> None:
    messages = MessagesSoFar()
    messages.add({"progress": "DONE", "answer": NOTHING[name], "backend_uuid": "b"})

    assert messages.accepted is None
