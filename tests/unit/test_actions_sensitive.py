"""Which of an action's values are not shown: found in every part of a schema that speaks of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actions.confirmation_text import Parameters, question_text
from actions.registry import Registry
from actions.sensitive import HIDDEN, without_sensitive
from actions.shown_output import output_to_show
from schemas.actions import ActionDefinition, AssistantActions, Endpoint

SECRET = "4711-MARK"
MARKED: dict[str, Any] = {"type": "string", "x-sensitive": True}
DEFINITIONS = {
    "pin": MARKED,
    "again": {"$ref": "#/$defs/pin"},
    "a/b~c": MARKED,
    "card": {"type": "object", "properties": {"pin": MARKED}},
}


def of(**keywords: Any) -> dict[str, Any]:
    return {"type": "object", "$defs": DEFINITIONS, **keywords}


def field(**keywords: Any) -> dict[str, Any]:
    return of(properties={"f": keywords})


SCHEMAS: dict[str, tuple[dict[str, Any], Any]] = {
    "itself": (field(**MARKED), SECRET),
    "write only": (field(writeOnly=True), SECRET),
    "a password": (field(format="password"), SECRET),
    "an object": (field(**{"x-sensitive": True}), {"a": {"b": SECRET}}),
    "a number": (field(**{"x-sensitive": True}), 4711),
    "items": (field(items=MARKED), ["a", SECRET]),
    "items of items": (field(items={"items": {"properties": {"p": MARKED}}}), [[{"p": SECRET}]]),
    "prefix items": (field(prefixItems=[{}, MARKED]), ["a", SECRET]),
    "items behind them": (field(prefixItems=[{}], items=MARKED), ["a", SECRET]),
    "contains": (field(contains=MARKED), [SECRET]),
    "unevaluated items": (field(unevaluatedItems=MARKED), [SECRET]),
    "a reference": (field(**{"$ref": "#/$defs/pin"}), SECRET),
    "a reference to a reference": (field(**{"$ref": "#/$defs/again"}), SECRET),
    "an escaped reference": (field(**{"$ref": "#/$defs/a~1b~0c"}), SECRET),
    "an optional one": (field(anyOf=[MARKED, {"type": "null"}]), SECRET),
    "an optional object": (field(anyOf=[{"$ref": "#/$defs/card"}, {"type": "null"}]), {"pin": SECRET}),
    "one of": (field(oneOf=[{"type": "integer"}, MARKED]), SECRET),
    "all of": (field(allOf=[{"allOf": [MARKED]}]), SECRET),
    "all of the root": (of(allOf=[{"properties": {"f": MARKED}}]), SECRET),
    "a condition's branch": (of(**{"if": {}, "then": {"properties": {"f": MARKED}}}), SECRET),
    "the other branch": (of(**{"if": {}, "else": {"properties": {"f": MARKED}}}), SECRET),
    "a dependent schema": (of(dependentSchemas={"g": {"properties": {"f": MARKED}}}), SECRET),
    "additional properties": (field(additionalProperties=MARKED), {"any": SECRET}),
    "additional ones of the root": (of(additionalProperties=MARKED), SECRET),
    "pattern properties": (field(patternProperties={"^p": MARKED}), {"pin": SECRET}),
    "unevaluated properties": (field(unevaluatedProperties=MARKED), {"any": SECRET}),
    "the root": (of(**{"x-sensitive": True}), SECRET),
}
CASES = pytest.mark.parametrize(("schema", "value"), SCHEMAS.values(), ids=SCHEMAS.keys())


@CASES
def test_it_is_found_wherever_the_schema_says_so(schema: dict[str, Any], value: Any) -> None:
    shown = without_sensitive(schema, {"f": value})

    assert "4711" not in json.dumps(shown)
    assert HIDDEN in json.dumps(shown, ensure_ascii=False)


@CASES
def test_a_question_names_it_and_does_not_show_it(schema: dict[str, Any], value: Any) -> None:
    definition = ActionDefinition(name="book", description="Books", metadata_schema=schema, handler="api_call")

    question = question_text(definition, Parameters(schema, {"f": value}))

    assert "4711" not in question
    assert HIDDEN in question


def test_what_is_not_marked_is_shown_as_it_is() -> None:
    schema = of(properties={"a": {"type": "string"}, "list": {"items": {"type": "string"}}, "pin": MARKED})
    values = {"a": "x", "list": ["y", {"z": 1}], "pin": SECRET, "unknown": [None, True]}

    assert without_sensitive(schema, values) == {**values, "pin": HIDDEN}


def test_a_title_is_found_through_references_and_not_taken_from_an_alternative() -> None:
    schema = of(
        properties={
            "a": {"$ref": "#/$defs/outer"},
            "b": {"allOf": [{"title": "From all of"}]},
            "c": {"oneOf": [{"const": "x", "title": "the ex"}]},
        }
    )
    schema["$defs"] = {"outer": {"$ref": "#/$defs/inner"}, "inner": {"title": "Inner"}}
    definition = ActionDefinition(name="book", description="Books", metadata_schema=schema, handler="api_call")

    lines = question_text(definition, Parameters(schema, {"a": "1", "b": "2", "c": "x"})).splitlines()

    assert lines[1:4] == ["• Inner: 1", "• From all of: 2", "• c: the ex"]


ENDPOINT = Endpoint(
    name="pay",
    description="Pays",
    method="POST",
    url="https://shop.example/pay",
    params_schema={"type": "object", "properties": {"pin": MARKED, "n": {"type": "integer"}}},
)
REGISTRY = Registry(
    AssistantActions(
        endpoints=(ENDPOINT,),
        custom=(
            ActionDefinition(
                name="pay_now",
                description="Pays",
                handler="api_call",
                settings={"endpoint": "pay"},
                metadata_schema={"type": "object", "properties": {"pin": {"type": "string"}}},
            ),
        ),
    )
)
PAY = {"action": "api_call", "reason": "r", "metadata": {"endpoint": "pay", "params": {"n": 1, "pin": SECRET}}}


def test_metadata_is_shown_by_the_endpoints_schema() -> None:
    assert REGISTRY.shown_metadata("api_call", PAY["metadata"]) == {  # type: ignore[arg-type]
        "endpoint": "pay",
        "params": {"n": 1, "pin": HIDDEN},
    }
    assert REGISTRY.shown_metadata("pay_now", {"pin": SECRET}) == {"pin": HIDDEN}
    assert REGISTRY.shown_metadata("of another version", {"pin": SECRET}) == {"pin": HIDDEN}
    assert (
        REGISTRY.shown_metadata("api_call", {"endpoint": "gone", "params": {"pin": SECRET}})["params"]["pin"] == HIDDEN
    )


WHOLE = json.dumps(PAY)
OUTPUTS = {
    "an action": WHOLE,
    "one in a fence": f"```json\n{WHOLE}\n```",
    "one that is invalid": json.dumps({**PAY, "metadata": {**PAY["metadata"], "more": 1}}),  # type: ignore[dict-item]
    "two": f"{WHOLE} {WHOLE}",
    "one inside another object": json.dumps({"answer": [PAY]}),
    "one that breaks off": WHOLE[: WHOLE.index("MARK") + 2],
    "one that is broken": WHOLE.replace("}}}", '"]}}') + " and more",
    "a function call": json.dumps({"name": "api_call", "arguments": {"endpoint": "pay", "pin": SECRET}}),
    "a key that is there twice": WHOLE.replace('"n"', '"pin"'),
    "spelt oddly": WHOLE.replace("action", "Action"),
    "fields at top level": json.dumps({"action": "api_call", "reason": "r", "endpoint": "pay", "pin": SECRET}),
    "parameters for metadata": WHOLE.replace("metadata", "params"),
    "metadata in another case": WHOLE.replace("metadata", "Metadata"),
    "a field beside the metadata": json.dumps({**PAY, "pin": SECRET}),
    "a field in another case": WHOLE.replace("pin", "PIN"),
    "metadata in metadata": json.dumps({**PAY, "metadata": {"metadata": PAY["metadata"]}}),
    "parameters flattened": json.dumps({**PAY, "metadata": {"endpoint": "pay", "pin": SECRET}}),
    "cut before the action": json.dumps(dict(reversed(PAY.items())))[:-4],
    "broken before the action": json.dumps(dict(reversed(PAY.items()))).replace('"reason"', "reason:="),
    "another notation": f"action: api_call\nreason: r\nmetadata:\n  pin: {SECRET}",
    "a comment": f'{{"action":"pay_now","reason":"r","metadata":{{"pin":"" /* pin {SECRET} */}}}}',
    "text around it": f"I pay with {SECRET}: {WHOLE}",
}


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())
def test_a_raw_output_is_shown_without_it(output: str) -> None:
    shown = output_to_show(output, REGISTRY)

    assert "4711" not in shown
    assert HIDDEN in shown


def test_of_an_unusable_output_only_the_definitions_own_names_are_shown() -> None:
    metadata = {"endpoint": "pay", "params": {"PIN 4711": 1, "n": 4711}}
    output = json.dumps({"action": "api_call", "reason": "pin 4711", "metadata": metadata, "list": [4711]})

    assert json.loads(output_to_show(output, REGISTRY)) == {
        "action": "api_call",
        "reason": HIDDEN,
        "metadata": {"endpoint": "pay", "params": {"…": HIDDEN, "n": HIDDEN}},
        "…": [HIDDEN],
    }


def test_of_an_action_all_but_its_sensitive_values_is_shown() -> None:
    output = f"```json\n{WHOLE}\n``` [1]"

    assert output_to_show(output, REGISTRY) == output.replace(": ", ":").replace(", ", ",").replace(SECRET, HIDDEN)


@pytest.mark.parametrize("output", ["Hello {name}, 4711", "{ color: red }", "Your pin: 4711", ""])
def test_a_plain_text_is_shown_as_it_is(output: str) -> None:
    assert output_to_show(output, REGISTRY) == output


def test_of_an_object_in_a_text_no_value_is_shown() -> None:
    assert output_to_show('As JSON: {"a": {"pin": "4711"}}.', REGISTRY) == f'As JSON: {{"…":{{"pin":"{HIDDEN}"}}}}.'


def test_an_assistant_without_sensitive_fields_has_its_outputs_shown_as_they_are() -> None:
    assert output_to_show(WHOLE, Registry()) == WHOLE
