"""An endpoint's look-up, checked when it is saved: one that could not tell a call by its key would find another's."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from schemas.actions import KEY, PLACE, ConfigurationProblem, Endpoint


def look_up_problems(endpoint: Endpoint) -> list[ConfigurationProblem]:
    """With JSON pointers into the look-up; empty if it is fine, or there is none."""
    return [ConfigurationProblem(path=path, message=message) for path, message in _problems(endpoint)]


def _problems(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    how, schema = endpoint.look_up, endpoint.params_schema
    if how is None:
        return
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if endpoint.method == "GET" or endpoint.honours_idempotency_key:
        yield "", "not needed: the call itself may be repeated"
    places = set(PLACE.findall(how.url))
    if KEY not in places:
        yield "/url", "must hold {key}, the key of the call"
    for name in sorted(places - {KEY} - set(required)):
        yield "/url", f"{{{name}}} is no parameter that every call has"
    if KEY in properties and KEY in places:
        yield "/url", "{key} is the call's key, and the name of a parameter: rename the parameter"
    if PLACE.search(urlsplit(how.url).netloc):
        yield "/url", "the host must be fixed"
    if how.key_param in properties:
        yield "/key_param", "is a parameter that the model fills"
