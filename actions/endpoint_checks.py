"""Endpoints, checked when they are saved: what would fail at the customer's turn is refused at the desk.

What the configuration alone can say (`endpoint_problems`), and what the installation's settings say of it
(`reach_problems`): which secrets there are, and which places are its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from actions.headers import header_problems
from actions.look_ups import look_up_problems, url_problem
from actions.metadata_schemas import schema_problems
from actions.relaxed_json import escaped
from actions.visible import unseen_labels
from schemas.actions import API_CALL, PLACE, AssistantActions, ConfigurationProblem, Endpoint, private_host


def endpoint_problems(config: AssistantActions) -> Iterator[ConfigurationProblem]:
    """With JSON pointers into *config*."""
    for index, endpoint in enumerate(config.endpoints):
        for path, message in _of_endpoint(endpoint):
            yield ConfigurationProblem(path=f"/endpoints/{index}{path}", message=message)
    endpoints = {each.name: each for each in config.endpoints}
    for index, own in enumerate(config.custom):
        named = own.settings.get("endpoint") if own.handler == API_CALL else None
        behind = endpoints.get(named) if isinstance(named, str) else None
        if behind is None or url_problem(behind.url) or schema_problems(own.metadata_schema):
            continue
        for path, message in _of_parameters(behind, own.metadata_schema, "/metadata_schema"):
            yield ConfigurationProblem(path=f"/custom/{index}{path}", message=message)


def _of_endpoint(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    found = schema_problems(endpoint.params_schema)
    for each in found or unseen_labels(endpoint.params_schema):
        yield f"/params_schema{each.path}", each.message
    if (unusable := url_problem(endpoint.url)) is not None:
        yield "/url", unusable
    elif not found:
        yield from _of_parameters(endpoint, endpoint.params_schema, "/params_schema")
    of_look_up = endpoint.look_up.headers if endpoint.look_up else None
    for place, given in (("/headers", endpoint.headers), ("/look_up/headers", of_look_up)):
        for each in header_problems(given):
            yield f"{place}{each.path}", each.message
    for each in [] if found else look_up_problems(endpoint):
        yield f"/look_up{each.path}", each.message


def _of_parameters(endpoint: Endpoint, schema: dict[str, Any], under: str) -> Iterator[tuple[str, str]]:
    """Whether every call that fits *schema* fills the URL's places, and none says anew what the URL says."""
    required, properties = schema.get("required", []), schema.get("properties", {})
    for name in sorted(set(PLACE.findall(endpoint.url)) - set(required)):
        place = "/url" if under == "/params_schema" else f"{under}/required"
        yield place, f"the URL of {endpoint.name} has the place {{{name}}}, and no parameter that every call has"
    if not endpoint.in_query:
        return
    query = urlsplit(PLACE.sub("0", endpoint.url)).query
    for name in sorted({name for name, _ in parse_qsl(query, keep_blank_values=True)} & properties.keys()):
        yield f"{under}/properties/{escaped(name)}", f"the URL of {endpoint.name} fixes it"


def reach_problems(
    config: AssistantActions, secrets: Collection[str], private: Collection[str]
) -> Iterator[ConfigurationProblem]:
    """What of *config* could not be called from here. *secrets*: the names that there are; *private*: `host:port`s."""
    own = {private_host(each) for each in private}
    for index, endpoint in enumerate(config.endpoints):
        for path, message in _of_call(endpoint.url, endpoint.headers, endpoint.headers, secrets, own):
            yield ConfigurationProblem(path=f"/endpoints/{index}{path}", message=message)
        if (how := endpoint.look_up) is not None:
            sent = endpoint.headers if how.headers is None else how.headers
            for path, message in _of_call(how.url, sent, how.headers or {}, secrets, own):
                yield ConfigurationProblem(path=f"/endpoints/{index}/look_up{path}", message=message)


def _of_call(
    url: str, sent: Mapping[str, str], named: Mapping[str, str], secrets: Collection[str], own: Collection[str]
) -> Iterator[tuple[str, str]]:
    """*sent*: the headers that go along, of which *named* are written beside *url*."""
    for header in sorted(header for header, secret in named.items() if secret not in secrets):
        yield f"/headers/{escaped(header)}", "ENDPOINT_SECRETS has no secret of that name"
    if url_problem(url) is not None:
        return
    parts = urlsplit(PLACE.sub("0", url))
    if parts.scheme == "http" and sent and private_host(f"{parts.hostname}:{parts.port or 80}") not in own:
        yield "/url", "its headers hold secrets: use https, or name its host:port in ENDPOINT_PRIVATE_HOSTS"
