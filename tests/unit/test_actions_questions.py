"""What a customer is asked: in the definition's words, with every value, and in no name of ours."""

from __future__ import annotations

from typing import Any

import pytest

from actions.confirmation_text import MAX_VALUES, Parameters, question_text
from actions.question_words import words_for
from actions.registry import Registry
from integrations.whatsapp.rendering import literally
from integrations.whatsapp.splitting import measure
from schemas.actions import ActionDefinition, ActionRequest, AssistantActions, Endpoint

LANGUAGES = ("en", "ms", "id", "zh", "es", "pt", "fr", "de", "ar", "hi")
TEXT_UNITS = 4_096
"""What one text message of WhatsApp holds."""
CANCEL = Endpoint(
    name="cancel_order_v2",
    description="Cancels an order that is not sent yet.",
    method="POST",
    plain="cancel your order",
    url="https://shop.example/orders/{order_no}/cancel",
    params_schema={
        "type": "object",
        "properties": {
            "order_no": {"type": "string", "title": "Order number"},
            "refund_to": {"title": "Refund to", "oneOf": [{"const": "cc", "title": "your card"}, {"const": "v"}]},
            "notify": {"type": "boolean", "description": "Tell you by e-mail"},
            "address": {"$ref": "#/$defs/address", "title": "Address"},
            "items": {"type": "array", "title": "Items", "items": {"type": "string"}},
            "pin": {"type": "string", "title": "PIN", "x-sensitive": True},
            "free_text": {"type": "string"},
        },
        "$defs": {"address": {"type": "object", "properties": {"city": {"type": "string", "title": "City"}}}},
    },
)


def asked(params: dict[str, Any], language: str = "en", endpoint: Endpoint = CANCEL) -> list[str]:
    """The question's lines."""
    registry = Registry(AssistantActions(endpoints=(endpoint,)))
    metadata = {"endpoint": endpoint.name, "params": params}
    request = ActionRequest(action="api_call", reason="r", metadata=metadata)
    definition = registry.rules_for(request)
    assert definition is not None
    return question_text(definition, registry.parameters_of(request), language).splitlines()


def test_it_is_asked_in_the_definitions_words() -> None:
    params = {"order_no": "A-1", "refund_to": "cc", "notify": True, "address": {"city": "Ipoh"}, "items": ["x", "y"]}

    assert asked(params) == [
        "Shall I cancel your order?",
        "• Order number: A-1",
        "• Refund to: your card",
        "• Tell you by e-mail: Yes",
        "• Address › City: Ipoh",
        "• Items: x, y",
        "Please answer yes or no.",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("plain", ["cancel your order", ""])
def test_no_name_of_ours_is_shown(language: str, plain: str) -> None:
    endpoint = CANCEL.model_copy(update={"plain": plain})

    text = "\n".join(asked({"order_no": "A-1", "free_text": "soon"}, language, endpoint))

    assert "_" not in text
    assert not any(name in text for name in ("endpoint", "params", "api_call", "cancel_order", "do this: do this"))
    assert (plain or "Cancels an order that is not sent yet") in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_built_in_action_speaks_the_customers_language(language: str) -> None:
    metadata = {"subject": "Lamp", "description": "Broken", "priority": "high"}
    registry = Registry()
    request = ActionRequest(action="create_ticket", reason="r", metadata=metadata)
    definition, words = registry.get("create_ticket"), words_for(language)
    assert definition is not None

    lines = question_text(definition, registry.parameters_of(request), language).splitlines()

    assert lines[1] == f"• {words.labels['subject']}: Lamp"
    assert lines[3] == f"• {words.labels['priority']}: {words.labels['high']}"
    if language != "en":
        assert not any(word in " ".join(lines) for word in ("open a ticket", "Subject", "Priority", "high"))


def test_what_is_sensitive_is_named_and_not_shown() -> None:
    assert "• PIN: ••••" in asked({"pin": "4711"})
    assert "4711" not in " ".join(asked({"pin": "4711"}))


def test_a_value_cannot_pretend_to_be_another_or_hide_a_part() -> None:
    lines = asked({"order_no": "A-1\n• Refund to: Eve", "free_text": "Pa\u202eris\tand\r\nmore", "items": []})

    assert lines[1:-1] == ["• Order number: A-1 · Refund to: Eve", "• free text: Paris and more", "• Items: –"]


def test_markup_in_a_value_is_read_as_it_was_written() -> None:
    (line,) = asked({"free_text": "[pay 10](https://evil.example) <b>*no*</b> 2*3 _x_ [1]"})[1:-1]

    shown = literally(line)

    assert shown.translate({ord("∗"): "*", ord("ˍ"): "_"}) == line
    assert not any(mark in shown for mark in ("*no*", "_x_"))


@pytest.mark.parametrize("length", [5, 200, 5_000])
def test_forty_values_are_all_named_in_one_message(length: int) -> None:
    lines = asked({f"field {number}": "x" * length for number in range(40)})

    assert len(lines) == 42
    assert measure("\n".join(lines)) <= TEXT_UNITS
    assert all(line.endswith("…") == (length > 5) for line in lines[1:-1])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("values", [1, 40, 100, 400])
@pytest.mark.parametrize("letter", ["t", "値", "😀", "e\u0301"])
def test_a_question_fits_into_one_message_whatever_its_words_are(language: str, values: int, letter: str) -> None:
    fields = {f"p{number}": {"title": letter * 200} for number in range(values)}
    schema = {"type": "object", "properties": fields}
    endpoint = CANCEL.model_copy(update={"params_schema": schema, "plain": "", "description": letter * 250})

    lines = asked(dict.fromkeys(fields, letter * 900), language, endpoint)

    assert measure("\n".join(lines)) <= TEXT_UNITS
    assert measure(literally("\n".join(lines))) <= TEXT_UNITS
    assert lines[-1] == words_for(language).answer
    assert len(lines) == 2 + min(values, MAX_VALUES) + (values > MAX_VALUES)
    assert all("…: " in line and line.endswith("…") for line in lines[1 : min(values, MAX_VALUES) + 1])


def test_a_title_is_cut_only_where_there_is_no_room() -> None:
    title = "Some quite ordinary title of a field that is here"
    schema = {"type": "object", "properties": {f"p{number}": {"title": title} for number in range(40)}}
    endpoint = CANCEL.model_copy(update={"params_schema": schema})

    lines = asked({f"p{number}": "v" * 400 for number in range(40)}, "en", endpoint)

    assert all(line.startswith(f"• {title}: vvvvvvvvvvvvvvvvvvv") for line in lines[1:-1])


def test_a_long_value_has_the_room_that_short_ones_leave() -> None:
    long, short = asked({"free_text": "y" * 900, "order_no": "A-1"})[1:-1]

    assert (len(long), long[-1], short) == (len("• free text: ") + 300, "…", "• Order number: A-1")


def test_values_beyond_the_limit_are_counted() -> None:
    lines = asked({f"field {number}": number for number in range(MAX_VALUES + 5)})

    assert lines[-2] == "• … (+5)"


def test_lists_of_objects_are_numbered() -> None:
    schema = {
        "type": "object",
        "properties": {"guests": {"title": "Guest", "items": {"properties": {"n": {"title": "Name"}}}}},
    }
    definition = ActionDefinition(name="book", description="Books", metadata_schema=schema, handler="api_call")
    parameters = Parameters(schema, {"guests": [{"n": "Ann"}, {"n": "Bo"}]})

    lines = question_text(definition, parameters).splitlines()

    assert lines == [
        "Shall I do this: Books?",
        "• Guest 1 › Name: Ann",
        "• Guest 2 › Name: Bo",
        "Please answer yes or no.",
    ]
