"""Asks a service what became of a call of which nobody knows whether it was executed: by the call's key.

Only a clear answer counts: what is there was done, what is not there some while after the call was not. All else
leaves the effect as unknown as it was, and nothing is repeated.
"""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

from integrations.characters import storable
from integrations.endpoints.port import CallFailureKind, EndpointFailed, EndpointResult, Endpoints
from schemas.actions import KEY, PLACE, Endpoint, LookUp
from schemas.effects import Claim, EffectOutcome, EffectStatus

_NOT_FOUND = 404
_DEEPEST = 100
"""So many lists and objects within each other are read of an answer; it is passed on as text beyond."""


async def look_up(
    endpoints: Endpoints, endpoint: Endpoint, how: LookUp, params: dict[str, Any], effect: Claim
) -> EffectOutcome | None:
    """What the service has under the effect's key; None: the call was not executed. Raises EndpointFailed."""
    asked = endpoint.model_copy(
        update={
            "name": f"{endpoint.name} (look-up)",
            "method": "GET",
            "url": how.url,
            "headers": endpoint.headers if how.headers is None else how.headers,
        }
    )
    known = {**params, KEY: effect.key}
    places = {name: known[name] for name in PLACE.findall(how.url) if name in known}
    answer = await endpoints.call(asked, places, None)
    if answer.status != _NOT_FOUND and (not how.found or _at(how.found, answer)):
        body = _at(how.found, answer) if how.found else body_of(answer)
        return EffectOutcome(status=EffectStatus.CONFIRMED, result={"status": answer.status, "body": body})
    if effect.claimed_at is None or effect.claimed_before is None:
        raise EndpointFailed(CallFailureKind.UNKNOWN, "nobody knows when it was called")
    if effect.claimed_at - effect.claimed_before < timedelta(seconds=latest_seconds(endpoint)):
        raise EndpointFailed(CallFailureKind.UNKNOWN, "not there yet", retry_after=latest_seconds(endpoint))
    return None


def latest_seconds(endpoint: Endpoint) -> float:
    """After an attempt has begun, when its call must be found at the latest: it may have looked up before it called."""
    return 0.0 if endpoint.look_up is None else 2 * endpoint.time_limit_seconds + endpoint.look_up.lag_seconds


def body_of(result: EndpointResult) -> Any:
    """JSON as JSON, anything else as text; None where it could not be read."""
    try:
        return _read(result)
    except ValueError:
        return None if result.unread else result.body


def _read(result: EndpointResult) -> Any:
    """The JSON that it is. Raises ValueError for none, and for what cannot be stored: no number, or too deep."""
    try:
        value = json.loads(result.body, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        raise ValueError("nested too deep") from None
    return _stored(value, _DEEPEST)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _number(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _stored(value: Any, depth: int) -> Any:
    """*value* with text that can be stored: an escape may hide a NUL, or half a character."""
    if not depth:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        return {storable(name): _stored(each, depth - 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_stored(each, depth - 1) for each in value]
    return storable(value) if isinstance(value, str) else value


def _at(pointer: str, answer: EndpointResult) -> Any:
    """What stands there in the answer, None for nothing. Raises EndpointFailed for no JSON."""
    try:
        value = _read(answer)
    except ValueError:
        raise EndpointFailed(CallFailureKind.UNKNOWN, "the answer is no JSON") from None
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(name)] if name.isascii() and name.isdigit() and int(name) < len(value) else None
        else:
            value = value.get(name) if isinstance(value, dict) else None
    return value
