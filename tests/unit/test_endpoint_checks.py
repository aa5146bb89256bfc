"""A definition that would fail at the customer's turn is refused when it is saved, with its place (finding 20)."""

from __future__ import annotations

from typing import Any

import pytest

from actions.endpoint_checks import reach_problems
from actions.registry import configuration_problems
from schemas.actions import ActionDefinition, AssistantActions, Endpoint

NUMBER = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}
OPTIONAL = {**NUMBER, "required": []}


def orders(**changes: Any) -> Endpoint:
    given = {"name": "orders", "description": "Orders", "url": "https://shop.example/orders/{number}"}
    return Endpoint.model_validate({**given, "params_schema": NUMBER, **changes})


def refused(endpoint: Endpoint, *custom: ActionDefinition) -> list[str]:
    config = AssistantActions(endpoints=(endpoint,), custom=custom)
    return [each.path for each in configuration_problems(config)]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"url": "https://{number}.example/orders"}, "url"),
        ({"url": "https://{number}/orders"}, "url"),
        ({"url": "https://shop.example:{number}/orders"}, "url"),
        ({"params_schema": OPTIONAL}, "url"),
        ({"url": "https://shop.example/{numbr}"}, "url"),
        ({"url": "https://shop.example/orders/{}/{number}"}, "url"),
        ({"url": "https://shop.example/orders/{order-no}/{number}"}, "url"),
        ({"url": "https://shop.example/orders?number={number}"}, "params_schema/properties/number"),
        ({"url": "https://shop.example/{number}?tag=1&tag=2&number"}, "params_schema/properties/number"),
    ],
)
def test_what_no_call_could_fill_or_would_say_twice(changes: dict[str, Any], path: str) -> None:
    assert refused(orders(**changes)) == [f"/endpoints/0/{path}"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"url": "https://shop.example/{number}?tag=1&tag=2"},
        {"url": "https://shop.example/{number}?number=1", "method": "POST"},  # in the body it is another thing
    ],
)
def test_what_every_call_fills_is_taken(changes: dict[str, Any]) -> None:
    assert refused(orders(**changes)) == []


@pytest.mark.parametrize(("schema", "path"), [(NUMBER, []), (OPTIONAL, ["/custom/0/metadata_schema/required"])])
def test_an_own_action_fills_its_endpoints_places(schema: dict[str, Any], path: list[str]) -> None:
    own = ActionDefinition(
        name="find",
        description="Finds it",
        metadata_schema=schema,
        handler="api_call",
        settings={"endpoint": "orders"},
        safe=True,
        safe_because="it only looks",
    )

    assert refused(orders(), own) == path


LOOK_UP = {"url": "http://billing:8080/{key}"}


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({}, []),
        ({"headers": {"A": "known"}}, []),
        ({"headers": {"A": "unknown"}}, ["headers/A"]),
        ({"url": "http://shop.example/{number}"}, []),
        ({"url": "http://shop.example/{number}", "headers": {"A": "known"}}, ["url"]),
        ({"url": "http://BILLING:8080/{number}", "headers": {"A": "known"}}, []),
        ({"url": "http://[::1]/{number}", "headers": {"A": "known"}}, []),
        ({"method": "POST", "look_up": LOOK_UP, "headers": {"A": "unknown"}}, ["headers/A"]),
        ({"method": "POST", "look_up": LOOK_UP | {"headers": {"B": "unknown"}}}, ["look_up/headers/B"]),
        ({"method": "POST", "look_up": {"url": "http://x/{key}"}, "headers": {"A": "known"}}, ["look_up/url"]),
        ({"method": "POST", "look_up": {"url": "http://x/{key}", "headers": {}}, "headers": {"A": "known"}}, []),
    ],
)
def test_what_the_installation_does_not_have(changes: dict[str, Any], paths: list[str]) -> None:
    config = AssistantActions(endpoints=(orders(**changes),))

    found = [each.path for each in reach_problems(config, {"known"}, ["Billing:8080", "[::1]:80"])]

    assert found == [f"/endpoints/0/{path}" for path in paths]
