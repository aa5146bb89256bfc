"""The allow-listed handlers: each does one kind of action under its effect's key. Nothing else can be done.

A handler is either safe to repeat (our own database, keyed), or says how it failed: surely not done (may be tried
again), surely failed, or unknown, which is never tried again by itself and waits for a human.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from actions.registry import Registry
from integrations.endpoints.port import CallProblem, EndpointFailed, Endpoints
from schemas.actions import ActionDefinition, ActionRequest, AssistantActions
from schemas.turns import OutputError
from storage.actions import BegunAction, Settlement
from storage.desk import Desk

Handle = Callable[[BegunAction, Registry, ActionRequest, ActionDefinition], Awaitable[Settlement]]


class HandlerFailed(Exception):
    """The action was not confirmed. *retry_after* seconds; *unknown*: it may have been done all the same."""

    def __init__(
        self, explanation: str, *, retryable: bool = False, unknown: bool = False, retry_after: float = 1.0
    ) -> None:
        super().__init__(explanation)
        self.explanation = explanation
        self.retryable = retryable
        self.unknown = unknown
        self.retry_after = retry_after


OWN_DATABASE = frozenset({"handoff", "create_ticket", "ticket_status", "close_conversation"})
"""Handlers whose effect is a row of ours: quick, keyed, never of unknown outcome."""


HANDLERS = OWN_DATABASE | {"api_call"}


class Handlers:
    """Handlers by name, as `ActionDefinition.handler` names them."""

    def __init__(self, desk: Desk, endpoints: Endpoints) -> None:
        self._desk = desk
        self._endpoints = endpoints
        self._by_name: dict[str, Handle] = {
            "handoff": self._hand_off,
            "create_ticket": self._create_ticket,
            "ticket_status": self._ticket_status,
            "api_call": self._api_call,
            "close_conversation": self._close,
        }

    async def handle(
        self, begun: BegunAction, registry: Registry, request: ActionRequest, definition: ActionDefinition
    ) -> Settlement:
        """Does it. Raises HandlerFailed."""
        handle = self._by_name.get(definition.handler)
        if handle is None:
            raise HandlerFailed(f"there is no handler {definition.handler}")
        return await handle(begun, registry, request, definition)

    async def _hand_off(
        self, begun: BegunAction, _registry: Registry, request: ActionRequest, definition: ActionDefinition
    ) -> Settlement:
        team = str(definition.settings.get("team", "support"))
        await self._desk.hand_off(
            begun.conversation_id,
            begun.effect_key,
            team=team,
            reason=request.reason,
            details=request.metadata,
            opened_by="assistant",
            owner_version=begun.standing.version,
        )
        return Settlement(status="confirmed", result={"team": team})

    async def _create_ticket(
        self, begun: BegunAction, _registry: Registry, request: ActionRequest, _definition: ActionDefinition
    ) -> Settlement:
        ticket = await self._desk.open_ticket(
            begun.conversation_id, begun.effect_key, _ticket_of(request), who="assistant", turn_id=begun.turn_id
        )
        result = {"ticket_id": ticket.ticket_id, "status": ticket.status}
        return Settlement(status="confirmed", result=result, external_id=ticket.ticket_id)

    async def _ticket_status(
        self, begun: BegunAction, _registry: Registry, request: ActionRequest, _definition: ActionDefinition
    ) -> Settlement:
        ticket = await self._desk.find_ticket(begun.conversation_id, str(request.metadata.get("ticket_id", "")))
        if ticket is None:
            return Settlement(status="confirmed", result={"found": False})
        return Settlement(status="confirmed", result={"found": True, **ticket.model_dump()})

    async def _close(
        self, _begun: BegunAction, _registry: Registry, _request: ActionRequest, _definition: ActionDefinition
    ) -> Settlement:
        return Settlement(status="confirmed")

    async def _api_call(
        self, begun: BegunAction, registry: Registry, request: ActionRequest, definition: ActionDefinition
    ) -> Settlement:
        name, params = _call_of(request, definition)
        endpoint = registry.endpoint(name)
        if endpoint is None:
            raise HandlerFailed("the endpoint is not configured any more")
        safe = endpoint.method == "GET" or endpoint.honours_idempotency_key
        if begun.status_before == "sending" and not safe:
            raise HandlerFailed("an earlier attempt may have been executed", unknown=True)
        try:
            result = await self._endpoints.call(endpoint, params, begun.effect_key)
        except EndpointFailed as failed:
            raise HandlerFailed(
                failed.explanation,
                retryable=failed.kind is CallProblem.NOT_SENT or (failed.kind is CallProblem.UNKNOWN and safe),
                unknown=failed.kind is CallProblem.UNKNOWN,
                retry_after=failed.retry_after or 1.0,
            ) from failed
        return Settlement(status="confirmed", result={"status": result.status, "body": _body(result.body)})


def _ticket_of(request: ActionRequest) -> dict[str, Any]:
    """The ticket's fields; an administrator's own action may have others, which all go into the description."""
    metadata = request.metadata
    described = "\n".join(f"{name}: {value}" for name, value in metadata.items())
    return {
        **metadata,
        "subject": str(metadata.get("subject") or request.reason)[:200],
        "description": str(metadata.get("description") or described or request.reason),
    }


def _call_of(request: ActionRequest, definition: ActionDefinition) -> tuple[object, dict[str, Any]]:
    """The endpoint's name and parameters. An administrator's own action names its endpoint in its settings."""
    fixed = definition.settings.get("endpoint")
    if fixed is not None:
        return fixed, request.metadata
    return request.metadata.get("endpoint"), request.metadata.get("params", {})


def configuration_errors(config: AssistantActions) -> list[OutputError]:
    """What of *config* could never be performed: unknown handlers and endpoints, with JSON pointers into it."""
    endpoints = {endpoint.name for endpoint in config.endpoints}
    errors = []
    for index, definition in enumerate(config.custom):
        if definition.handler not in HANDLERS:
            message = f"there is no such handler; there are: {', '.join(sorted(HANDLERS))}"
            errors.append(OutputError(path=f"/custom/{index}/handler", message=message))
        if definition.handler == "api_call" and definition.settings.get("endpoint") not in endpoints:
            errors.append(OutputError(path=f"/custom/{index}/settings/endpoint", message="name one of the endpoints"))
    return errors


def _body(text: Any) -> Any:
    """JSON as JSON, anything else as text."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def dry_run(handler: str, request: ActionRequest) -> str:
    """What the handler would do, in words; nothing is done."""
    metadata = request.metadata
    would: dict[str, str] = {
        "handoff": "lock the conversation for the bot and record that a human is called",
        "create_ticket": f"open a ticket at the built-in desk: {metadata.get('subject', '')}",
        "ticket_status": f"look up ticket {metadata.get('ticket_id') or '(the newest)'} of this customer",
        "api_call": f"call the endpoint {metadata.get('endpoint', '')} with the given parameters",
        "close_conversation": "close the conversation",
    }
    return would.get(handler, f"nothing: there is no handler {handler}")
