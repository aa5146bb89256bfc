"""A raw output as people see it: in dashboards, lists and logs, without the values that its schema marks as sensitive.

For an assistant with sensitive fields only what is known to be harmless is shown: a plain text, which the customer got
as it is, and a well-formed action, written anew with those values hidden. Of any other output nobody can say where the
values stand, so all of them are hidden: what is left are the names of fields, of actions and of endpoints that the
definitions themselves have. An assistant without sensitive fields has its outputs shown as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actions.limits import ReadingLimits
from actions.objects import ObjectScanner
from actions.reading import is_formal, read_output
from actions.registry import Registry
from actions.relaxed_json import RelaxedObject, Status
from actions.sensitive import HIDDEN
from schemas.encoding import dump_json
from schemas.turns import Verdict

NOT_SHOWN = f"{HIDDEN} (not shown: it may hold sensitive values)"
_UNKNOWN_NAME = "…"


def output_to_show(output: str, registry: Registry, limits: ReadingLimits | None = None) -> str:
    """*output* without sensitive values. Never raises."""
    if not registry.has_sensitive:
        return output
    limits = limits or ReadingLimits()
    scanner = ObjectScanner(limits)
    scanner.advance(output, final=True)
    verdict = read_output(output, registry, lenient=False, limits=limits).verdict
    return "".join(_pieces(output, scanner, registry, verdict))


def _pieces(output: str, scanner: ObjectScanner, registry: Registry, verdict: Verdict) -> Iterator[str]:
    position = 0
    for each in sorted([*scanner.whole, *scanner.unfinished], key=lambda found: found.start):
        yield _gap_to_show(output[position : each.start], verdict)
        if each.status is not Status.WHOLE:
            yield NOT_SHOWN  # and where a broken object ends, nobody can say
            return
        yield dump_json(_object_to_show(each, registry, verdict))
        position = each.end
    yield _gap_to_show(output[position:], verdict)


def _gap_to_show(gap: str, verdict: Verdict) -> str:
    return gap if verdict is Verdict.TEXT or is_formal(gap) else NOT_SHOWN


def _object_to_show(found: RelaxedObject, registry: Registry, verdict: Verdict) -> Any:
    if verdict is not Verdict.ACTION:
        return _without_values(found.value, registry)
    name, metadata = found.value["action"], found.value.get("metadata")
    return {**found.value, "metadata": registry.shown_metadata(name, metadata)} if metadata else found.value


def _without_values(value: Any, registry: Registry) -> Any:
    """*value* with everything hidden but the names that the definitions have."""
    if isinstance(value, list):
        return [_without_values(inner, registry) for inner in value]
    if not isinstance(value, dict):
        return HIDDEN
    return {
        name if registry.is_field(name) else _UNKNOWN_NAME: inner
        if _is_declared(name, inner, registry)
        else _without_values(inner, registry)
        for name, inner in value.items()
    }


def _is_declared(field: str, value: Any, registry: Registry) -> bool:
    """Whether *value* is the name of an action or of an endpoint, where such a name belongs."""
    if field == "action":
        return value in registry.known
    return field == "endpoint" and registry.endpoint(value) is not None
