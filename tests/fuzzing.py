"""Calls made up from our OpenAPI document by schemathesis, one at a time: valid and broken ones, alone and in chains
along the document's links. Only errors of ours are looked for; what is said is other tests' subject."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import schemathesis
from schemathesis.engine import events, from_schema

Kind = Literal["alone", "chained"]
_PHASES = {"alone": ("examples", "coverage", "fuzzing"), "chained": ("stateful",)}
_ONE_CALL_SECONDS = 25.0


@dataclass
class Fuzzed:
    """What came of it: how often each status was answered, by whom, and the answers that are errors of ours."""

    statuses: Counter[int] = field(default_factory=Counter)
    calls_of: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def fuzz(document: dict[str, Any], address: str, key: str, kind: Kind, calls: int, seed: int) -> Fuzzed:
    """About *calls* calls to the API at *address*. Blocks: for a thread beside the server's."""
    came = Fuzzed()
    stream = from_schema(_schema(document, address, key, kind, calls, seed)).execute()
    for event in stream:
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.NonFatalError):
            came.broken.append(f"{event.label}: {event.value!r}"[:300])
        if isinstance(event, events.ScenarioFinished):
            _count(came, event)
        if kind == "chained" and came.statuses.total() >= calls:
            stream.stop()
    return came


def _schema(document: dict[str, Any], address: str, key: str, kind: Kind, calls: int, seed: int) -> Any:
    each = [operation for methods in document["paths"].values() for operation in methods.values()]
    varied = sum("parameters" in operation or "requestBody" in operation for operation in each)
    phases = {name: {"enabled": name in _PHASES[kind]} for name in ("examples", "coverage", "fuzzing", "stateful")}
    phases["coverage"] = {"enabled": kind == "alone" and calls > 1_000}  # some thousand calls by itself
    settings = {
        "seed": seed,
        "base-url": address,
        "headers": {"Authorization": f"Bearer {key}"},
        "request-timeout": _ONE_CALL_SECONDS,
        "continue-on-failure": True,
        "checks": {"enabled": False, "not_a_server_error": {"enabled": True}},
        "generation": {
            "database": "none",
            "no-shrink": True,
            "with-security-parameters": False,
            "max-examples": calls // varied + 1 if kind == "alone" else calls,
        },
        "phases": phases,
    }
    return schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(settings))


def _count(came: Fuzzed, event: events.ScenarioFinished) -> None:
    for interaction in event.recorder.interactions.values():
        asked, answer = interaction.request, interaction.response
        came.calls_of[f"{asked.method} {event.recorder.label}"] += 1
        status = answer.status_code if answer else 0
        came.statuses[status] += 1
        if status == 0 or status >= 500:
            body = asked.body[:300] if asked.body else b""
            came.broken.append(f"{status} {asked.method} {asked.uri} {body!r}")
