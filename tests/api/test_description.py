"""The OpenAPI document, as generators and fuzzers read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unconnected import unconnected_app

PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture
async def document() -> dict[str, Any]:
    return (await unconnected_app()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((f"{method} {path}", operation) for method, operation in methods.items())


def within(value: Any, name: str) -> Iterator[Any]:
    """All that is called *name* anywhere in *value*."""
    if isinstance(value, dict):
        yield from (value[name] for _ in range(name in value))
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from within(inner, name)


def test_every_refusal_is_a_problem_by_reference(document: dict[str, Any]) -> None:
    refusals = {
        f"{name} {status}": response["content"]
        for name, operation in operations(document)
        for status, response in operation["responses"].items()
        if status.startswith("4") or (status == "503" and "/api/" in name)
    }

    assert len(refusals) > 100
    assert {name: content for name, content in refusals.items() if content != PROBLEM} == {}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    wanted = {str(each).rpartition("/")[2] for each in within(document, "$ref")}

    assert wanted - document["components"]["schemas"].keys() == set()


def test_nothing_of_a_later_openapi_is_in_it(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert list(within(document, "itemSchema")) == []


def test_every_body_and_answer_has_a_shape(document: dict[str, Any]) -> None:
    contents = [content for found in within(document["paths"], "content") for content in found.values()]

    assert [content for content in contents if "schema" not in content] == []


def test_a_call_with_a_body_tells_what_the_guards_say(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if "requestBody" in operation:
            assert {"400", "408", "413", "415", "422"} <= operation["responses"].keys(), name


def test_links_lead_to_calls_that_take_what_they_bring(document: dict[str, Any]) -> None:
    calls = {operation["operationId"]: operation for _, operation in operations(document)}
    links = [link for found in within(document["paths"], "links") for link in found.values()]

    assert len(links) > 20
    for link in links:
        taken = {parameter["name"] for parameter in calls[link["operationId"]]["parameters"]}
        assert link["parameters"].keys() <= taken, link
