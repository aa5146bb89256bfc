"""An endpoint and the parameters of a call → what is asked for: the URL, and what goes into the query or the body.

The administrator's part of the URL stays as it is written: its host, its path, and what its query already says.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx2

from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import PLACE, Endpoint
from schemas.encoding import dump_json

_EXACT = 2**53
"""Below it every whole number has a float of its own."""


def filled(endpoint: Endpoint, params: dict[str, Any]) -> tuple[httpx2.URL, dict[str, Any]]:
    """The URL with its places filled, percent-encoded, and the parameters that are to go into the body.

    Raises EndpointFailed (refused) for a place in scheme, host or port, or one that no parameter fills.
    """
    parts = urlsplit(endpoint.url)
    if PLACE.search(f"{parts.scheme}{parts.netloc}") or parts.username is not None:
        raise _refused(endpoint, "the URL's host must be fixed and without a user")
    used = set(PLACE.findall(endpoint.url))
    missing = used - params.keys()
    if missing:
        raise _refused(endpoint, f"no parameter {sorted(missing)[0]}")
    values = {name: quote(as_text(params[name]), safe="") for name in used}
    if any(value in {"", ".", ".."} for value in values.values()):
        raise _refused(endpoint, "a parameter would change the path")
    url = httpx2.URL(PLACE.sub(lambda place: values[place.group(1)], endpoint.url))
    rest = {name: value for name, value in params.items() if name not in used}
    return (with_query(url, rest), {}) if endpoint.in_query else (url, rest)


def with_query(url: httpx2.URL, params: dict[str, Any]) -> httpx2.URL:
    """*url* with *params* behind what its query says already. That stays, and is what counts under its names."""
    fixed = {name for name, _ in parse_qsl(url.query.decode(), keep_blank_values=True)}
    said = [
        (name, as_text(each))
        for name, value in params.items()
        if name not in fixed
        for each in (value if isinstance(value, list) else [value])
    ]
    if not said:
        return url
    return url.copy_with(query=b"&".join([*filter(None, [url.query]), urlencode(said).encode()]))


def as_text(value: Any) -> str:
    """A value as a URL holds it. A whole number is one, however the model wrote it: 10423.0 is 10423."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return "" if value is None else dump_json(value)


def _refused(endpoint: Endpoint, why: str) -> EndpointFailed:
    return EndpointFailed(CallFailureKind.REFUSED, f"{endpoint.name}: {why}")
