"""Administrators' schemas: what may be saved, what is refused and why, and how metadata is checked by them."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.metadata_schemas import MAX_BYTES, schema_problems
from actions.patterns import pattern_problem
from actions.validation import schema_errors

TEXT = {"type": "string"}


def with_field(field: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": field}, **more}


def doubling(levels: int) -> dict[str, Any]:
    """Each definition names the next one twice: small to write down, huge written out."""
    definitions = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return with_field({"$ref": "#/$defs/d0"}, **{"$defs": {**definitions, f"d{levels}": TEXT}})


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(levels):
        schema = with_field(schema)
    return schema


FINE: dict[str, Any] = {
    "empty": {"type": "object"},
    "plain": with_field(TEXT, required=["x"], additionalProperties=False),
    "dialect": with_field(TEXT, **{"$schema": "https://json-schema.org/draft/2020-12/schema"}),
    "choice": with_field({"enum": ["a", "b", None]}),
    "definition": with_field({"$ref": "#/$defs/money"}, **{"$defs": {"money": {"type": "number", "minimum": 0}}}),
    "condition": with_field(TEXT, **{"if": {"required": ["x"]}, "then": {"maxProperties": 1}}),
    "composition": {"type": "object", "allOf": [{"properties": {"a": TEXT}}, {"properties": {"b": TEXT}}]},
    "pattern": with_field({"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,8}$", "maxLength": 12}),
    "mail": with_field({"type": "string", "pattern": r"^[\w.+-]+@[\w-]+\.[a-z]{2,20}$", "maxLength": 254}),
    "unique": with_field({"type": "array", "items": TEXT, "uniqueItems": True, "maxItems": 20}),
    "field called like a keyword": {"type": "object", "properties": {"$ref": TEXT, "pattern": TEXT, "type": TEXT}},
}
REFUSED: dict[str, tuple[Any, str]] = {
    "text": ("{{7*7}}", ""),
    "list": ([], ""),
    "true": (True, ""),
    "no type": ({"properties": {}}, "/type"),
    "array at the root": ({"type": "array"}, "/type"),
    "unknown type": (with_field({"type": "strnig"}), "/properties/x/type"),
    "properties are a list": ({"type": "object", "properties": ["x"]}, "/properties"),
    "negative length": (with_field({"maxLength": -1}), "/properties/x/maxLength"),
    "open to unknown fields": ({"type": "object", "additionalProperties": True}, "/additionalProperties"),
    "open by a schema": ({"type": "object", "additionalProperties": TEXT}, "/additionalProperties"),
    "other dialect": ({"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
    "remote": (with_field({"$ref": "https://evil.example/s.json"}), "/properties/x/$ref"),
    "file": (with_field({"$ref": "file:///etc/passwd"}), "/properties/x/$ref"),
    "pointer elsewhere": (with_field({"$ref": "#/properties/x"}), "/properties/x/$ref"),
    "no such definition": (with_field({"$ref": "#/$defs/y"}), "/properties/x/$ref"),
    "renamed root": (with_field({"$id": "https://evil.example/"}), "/properties/x/$id"),
    "dynamic": (with_field({"$dynamicRef": "#x"}), "/properties/x/$dynamicRef"),
    "endless": (with_field({"$ref": "#/$defs/a"}, **{"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}), "/$defs"),
    "doubling": (doubling(14), ""),
    "too deep": (nested(17), ""),
    "100 000 deep": (nested(5_000), ""),
    "too large": (with_field({"enum": ["x" * MAX_BYTES]}), ""),
    "many branches": (with_field({"anyOf": [{"const": n} for n in range(1_000)]}), ""),
    "pattern properties": ({"type": "object", "patternProperties": {"(a+)+": TEXT}}, "/patternProperties"),
    "uniqueness without end": (with_field({"type": "array", "uniqueItems": True}), "/properties/x/uniqueItems"),
    "no expression": (with_field({"pattern": "[a", "maxLength": 9}), "/properties/x/pattern"),
    "not JSON": (with_field({"const": {1, 2}}), ""),
    "NaN": (with_field({"const": float("nan")}), ""),
}


@pytest.mark.parametrize("schema", FINE.values(), ids=FINE.keys())
def test_an_ordinary_schema_is_taken(schema: dict[str, Any]) -> None:
    assert schema_problems(schema) == []


@pytest.mark.parametrize(("schema", "path"), REFUSED.values(), ids=REFUSED.keys())
def test_a_broken_remote_or_explosive_schema_is_refused(schema: Any, path: str) -> None:
    problems = schema_problems(schema)
    assert path in {problem.path for problem in problems}, problems
    assert all(problem.message and len(problem.message) < 400 for problem in problems)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$",
        r"^(a|aa)+$",
        r"^(a*)*b",
        r"^(\d+,)*\d+$",
        r"(?=a)b",
        r"(?<!x)y",
        r"(a)\1",
        r"(?P<n>a)",
        r"^a*a*a*a*a*b$",
    ],
)
def test_a_pattern_that_may_explode_is_refused(pattern: str) -> None:
    assert pattern_problem(pattern, 200) is not None


@pytest.mark.parametrize(
    "pattern", [r"^[a-z]+$", r"^\+?[0-9 ]{6,15}$", r"^[A-Z]{2}(-[0-9]{4})*$", r"^(yes|no)$", "abc"]
)
def test_a_pattern_that_cannot_explode_is_taken(pattern: str) -> None:
    assert pattern_problem(pattern, 200) is None


def test_an_unbounded_pattern_needs_a_longest_text() -> None:
    assert "maxLength" in str(pattern_problem("^[a-z]+$", None))
    assert pattern_problem("^[a-z]{1,9}$", None) is None


@given(st.text(alphabet="ab|()*+?{}12,[]^$.\\-:", max_size=14))
@settings(max_examples=500, deadline=None)
def test_an_accepted_pattern_is_quick_on_texts_made_to_stall_it(pattern: str) -> None:
    if pattern_problem(pattern, 40) is not None:
        return
    begin = time.process_time()
    for text in ("a" * 39 + "b", "ab" * 20, "1" * 40):
        re.search(pattern, text)
    assert time.process_time() - begin < 5.0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        _ := lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["type", "properties", "$ref", "anyOf", "items", "pattern", "$defs"]), inner
            )
        ),
    )
)
@settings(max_examples=300, deadline=None)
def test_no_schema_makes_the_check_raise(schema: Any) -> None:
    assert isinstance(schema_problems(schema), list)


def test_unknown_fields_are_errors_though_the_schema_does_not_say_so() -> None:
    schema = FINE["composition"]
    assert schema_errors(schema, {"a": "x", "b": "y"}) == []
    (error,) = schema_errors(schema, {"a": "x", "c": "y"}, "/metadata")
    assert (error.path, error.message) == ("/metadata/c", "unknown field")


def test_errors_point_to_the_part_and_say_the_rule() -> None:
    items = {"type": "array", "items": {"type": "integer", "minimum": 1}}
    schema = {"type": "object", "properties": {"a/b": items, "c": {"enum": ["u", "v"]}}, "required": ["c", "d", "e"]}
    found = schema_errors(schema, {"a/b": [1, 0, "secret"]}, "/metadata")
    codes = ["missing", "missing", "missing", "out_of_range", "wrong_type"]
    assert sorted(error.code for error in found) == codes
    assert {error.path: error.message for error in found} == {
        "/metadata/a~1b/1": "must be at least 1",
        "/metadata/a~1b/2": "must be a whole number",
        "/metadata/c": "is missing",
        "/metadata/d": "is missing",
        "/metadata/e": "is missing",
    }
