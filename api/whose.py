"""Whose conversation a call is about, as somebody of a team sees it: found by what its path names."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from api.services import Services
from schemas.access import Person, Whose
from schemas.requests import ChannelName, CustomerId

_CUSTOMER: TypeAdapter[str] = TypeAdapter(CustomerId)
_CHANNEL: TypeAdapter[str] = TypeAdapter(ChannelName)
_ID = TypeAdapter(UUID)
_EFFECTS = ("delivery_id", "effect_id")


async def whose_conversation(person: Person, request: Request, services: Services) -> Whose:
    """NONE where there is no such conversation: the route says so itself."""
    try:
        conversation_id = await _meant(request, services)
    except ValidationError:
        return Whose.NONE
    if conversation_id is None:
        return Whose.NONE
    return await services.teams.whose(conversation_id, who=person.who, teams=person.teams)


async def _meant(request: Request, services: Services) -> UUID | None:
    path = request.path_params
    if "customer_id" in path:
        channel = _CHANNEL.validate_python(request.query_params.get("channel", "http"))
        session = await services.sessions.find(channel, _CUSTOMER.validate_python(path["customer_id"]))
        return session.conversation_id if session else None
    effect = next((path[name] for name in _EFFECTS if name in path), None)
    return await services.teams.conversation_of_effect(_ID.validate_python(effect)) if effect else None
