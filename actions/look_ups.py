"""An endpoint's URLs, checked when they are saved: a look-up that cannot tell a call by its key would find others."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from schemas.actions import KEY, PLACE, ConfigurationProblem, Endpoint


def url_problem(url: str) -> str | None:
    """Why nothing could ever be called under *url*, whose places are filled later; None if it can be."""
    try:
        parts = urlsplit(PLACE.sub("0", url))
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in url):
        return "is no URL that could be called"
    if parts.username is not None:
        return "holds a user or a password: name a secret in headers"
    if PLACE.search(url.partition("://")[2].partition("/")[0].partition("?")[0]):
        return "the host must be fixed"
    if any(brace in PLACE.sub("", url) for brace in "{}"):
        return "a place is a name in braces: letters, digits and _, a letter first"
    return None


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
    if (unusable := url_problem(how.url)) is not None:
        yield "/url", unusable
        return
    places = set(PLACE.findall(how.url))
    if KEY not in PLACE.findall(how.url.partition("#")[0]):
        yield "/url", "must hold {key}, the key of the call, in its path or query"
    for name in sorted(places - {KEY} - set(required)):
        yield "/url", f"{{{name}}} is no parameter that every call has"
    if KEY in properties and KEY in places:
        yield "/url", "{key} is the call's key, and the name of a parameter: rename the parameter"
    if how.key_param in properties:
        yield "/key_param", "is a parameter that the model fills"
