"""A raw output as people see it: in dashboards, lists and logs, without the values that its schema marks as sensitive.

An action is written anew with those values hidden. Of one that breaks off nobody can say which values it has, so the
rest is not shown. An assistant without sensitive fields has its outputs shown as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actions.limits import ReadingLimits
from actions.objects import ObjectScanner
from actions.registry import Registry
from actions.relaxed_json import RelaxedObject, Status
from actions.sensitive import HIDDEN
from actions.suspicion import Meant, judge, names_known
from schemas.encoding import dump_json

NOT_SHOWN = f"{HIDDEN} (not shown: it may hold sensitive values)"


def output_to_show(output: str, registry: Registry, limits: ReadingLimits | None = None) -> str:
    """*output* without sensitive values. Never raises."""
    if not registry.has_sensitive:
        return output
    scanner = ObjectScanner(limits or ReadingLimits())
    scanner.advance(output, final=True)
    return "".join(_pieces(output, scanner, registry))


def _pieces(output: str, scanner: ObjectScanner, registry: Registry) -> Iterator[str]:
    position = 0
    for each in sorted([*scanner.whole, *scanner.unfinished], key=lambda found: found.start):
        yield output[position : each.start]
        position = each.end
        if each.status is Status.WHOLE:
            yield _object_to_show(output, each, registry)
        elif names_known(each.value, registry.known):
            yield NOT_SHOWN
            return
        else:
            yield output[each.start : position]
    yield output[position:]


def _object_to_show(output: str, found: RelaxedObject, registry: Registry) -> str:
    if judge(found.value, registry.known).meant is Meant.NO:
        return output[found.start : found.end]
    shown = _hidden_in(found.value, registry)
    if shown is None:
        return NOT_SHOWN
    return output[found.start : found.end] if shown == found.value else dump_json(shown)


def _hidden_in(value: Any, registry: Registry) -> Any:
    """*value* with the metadata of each action in it as people see them; None: there is none that is understood."""
    if isinstance(value, list):
        hidden = [_hidden_in(inner, registry) for inner in value]
        return None if all(inner is None for inner in hidden) else _merged(value, hidden)
    if not isinstance(value, dict):
        return None
    name, metadata = value.get("action"), value.get("metadata", {})
    if isinstance(name, str) and registry.get(name) is not None and isinstance(metadata, dict):
        return {**value, "metadata": registry.shown_metadata(name, metadata)} if metadata else value
    hidden = [_hidden_in(inner, registry) for inner in value.values()]
    if all(inner is None for inner in hidden):
        return None
    return dict(zip(value, _merged(list(value.values()), hidden), strict=True))


def _merged(values: list[Any], hidden: list[Any]) -> list[Any]:
    return [value if shown is None else shown for value, shown in zip(values, hidden, strict=True)]
