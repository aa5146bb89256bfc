"""The OpenAPI document as generators and fuzzers use it: valid for its version, every problem typed, calls linked.

FastAPI describes the routes. Here is what it does not know: problems of the guards before them, which calls go on where
another left off, and a stream's shape in words, for OpenAPI 3.1 has none for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from api.problems import PROBLEM, Problem, problem_docs

_COMPONENTS = "#/components/schemas/"
_OF_EVERY_CALL = (400, 422)
_OF_EVERY_BODY = (408, 413, 415)
_NOT_TYPED = "HTTPValidationError"
"""FastAPI's own answer to invalid input, in the place of which a problem is sent."""
_STREAM = {
    "type": "string",
    "description": "Server-sent events, each with `event`, `data` (JSON) and `id`; the call says which there are",
}

_CUSTOMER = {"customer_id": "$request.body#/customer_id", "channel": "$request.body#/channel"}
_SAME_CUSTOMER = {"customer_id": "$request.path.customer_id", "channel": "$request.query.channel"}
_SESSION = "/api/session/{customer_id}"
_NEXT_BEFORE = {"before": "$response.header.Next-Before"}
_LINKS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    *(
        (f"POST {sent}", of, f"{method} {_SESSION}{rest}", _CUSTOMER)
        for sent, of in (("/api/message", "200"), ("/api/message", "202"), ("/api/query_async", "200"))
        for method, rest in (
            ("GET", ""),
            ("GET", "/thread"),
            ("GET", "/turns"),
            ("GET", "/transitions"),
            ("POST", "/reset"),
            ("POST", "/state"),
            ("POST", "/messages"),
        )
    ),
    (
        f"GET {_SESSION}",
        "200",
        f"POST {_SESSION}/questions/{{question_id}}",
        {**_SAME_CUSTOMER, "question_id": "$response.body#/questions/0/id"},
    ),
    (f"GET {_SESSION}/turns", "200", f"GET {_SESSION}/turns", {**_SAME_CUSTOMER, **_NEXT_BEFORE}),
    ("GET /api/drift", "200", "GET /api/drift", _NEXT_BEFORE),
    ("GET /api/effects", "200", "GET /api/effects", {"before": "$response.body#/next_before"}),
    ("GET /api/deliveries", "200", "GET /api/deliveries", {"before": "$response.body#/next_before"}),
    (
        "GET /api/effects",
        "200",
        "POST /api/effects/{effect_id}/resolve",
        {"effect_id": "$response.body#/effects/0/id"},
    ),
    (
        "GET /api/deliveries",
        "200",
        "POST /api/deliveries/{delivery_id}/resend",
        {"delivery_id": "$response.body#/deliveries/0/id"},
    ),
)
"""Call, status of its answer, the call that goes on from there, and with what of the first."""


def describe(app: FastAPI) -> None:
    """Our description in the place of FastAPI's own."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(plain())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's own papers do it


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    schemas[Problem.__name__] = Problem.model_json_schema(ref_template=f"{_COMPONENTS}{{model}}")
    for path, operation in _operations(document):
        if path.startswith("/api/"):
            _add_problems(operation)
        for response in operation["responses"].values():
            _mend(response)
    for name in (_NOT_TYPED, "ValidationError"):
        schemas.pop(name, None)
    for link in _LINKS:
        _add_link(document, *link)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        yield from ((path, operation) for operation in methods.values())


def _add_problems(operation: dict[str, Any]) -> None:
    """Of the guards, which no route declares."""
    statuses = _OF_EVERY_CALL + (_OF_EVERY_BODY if "requestBody" in operation else ())
    declared = operation["responses"]
    for status, described in problem_docs(*statuses).items():
        declared.setdefault(str(status), described)


def _mend(response: dict[str, Any]) -> None:
    for media_type, content in list(response.get("content", {}).items()):
        if content.get("schema", {}).get("$ref") == f"{_COMPONENTS}{_NOT_TYPED}":
            response["content"] = {PROBLEM: {"schema": {"$ref": f"{_COMPONENTS}{Problem.__name__}"}}}
        elif content.pop("itemSchema", None):
            response["content"][media_type] = {"schema": _STREAM}


def _add_link(document: dict[str, Any], source: str, status: str, target: str, parameters: dict[str, str]) -> None:
    answer, operation = _operation(document, source)["responses"][status], _operation(document, target)
    name = f"{operation['operationId']}_next" if source == target else operation["operationId"]
    answer.setdefault("links", {})[name] = {"operationId": operation["operationId"], "parameters": parameters}


def _operation(document: dict[str, Any], call: str) -> dict[str, Any]:
    method, _, path = call.partition(" ")
    found: dict[str, Any] = document["paths"][path][method.lower()]
    return found
