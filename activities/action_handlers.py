"""The allow-listed handlers: each does one kind of action under its effect's key. Nothing else can be done.

A handler says itself what its effect is like (`declares`), before it is asked to do anything: whether it changes
anything, whether it outlasts the conversation's state, and what may follow an attempt of unknown outcome. Doing it, it
says how it failed: surely not done (may be tried again), surely refused, or unknown, which `activities/actions.py`
decides about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from actions.registry import Registry
from activities.looking_up import body_of, latest_seconds, look_up
from integrations.endpoints.port import CallFailureKind, EndpointFailed, Endpoints
from schemas.actions import (
    ActionDefinition,
    ActionRequest,
    AssistantActions,
    ConfigurationProblem,
    Endpoint,
)
from schemas.effects import Claim, EffectOutcome, EffectStatus, LedgerRow, Recovery
from storage.desk import Desk

_NOT_FOUND = 404
"""Of a GET it is an answer, for the model to tell; where nobody tells it, nothing was done that could be told."""


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


@dataclass(frozen=True)
class ActionCall:
    """What is asked of a handler, and the rules that hold for it."""

    request: ActionRequest
    definition: ActionDefinition
    registry: Registry

    @property
    def endpoint(self) -> Endpoint | None:
        return self.registry.endpoint_of(self.request, self.definition)

    @property
    def shown(self) -> ActionRequest:
        """The request as people see it: without sensitive values."""
        metadata = self.registry.shown_metadata(self.request.action, self.request.metadata)
        return self.request.model_copy(update={"metadata": metadata})


@dataclass(frozen=True)
class Declared:
    """What a handler says of one call's effect."""

    recovery: Recovery
    changes: bool = True
    """False: it only reads, so nothing is denied and nothing is doubled by doing it again."""
    stands: bool = False
    """It outlasts the conversation's state: asked for again, it may be there already."""


class ActionHandler(Protocol):
    """One kind of action. Its class can be asked what it declares and would do; only an instance can do it."""

    name: ClassVar[str]
    own_database: ClassVar[bool]
    """Its effect is a row of ours: quick, and done within the activity that accepts it."""

    @classmethod
    def declares(cls, call: ActionCall, /) -> Declared: ...

    @classmethod
    def would_do(cls, call: ActionCall, /) -> str:
        """As text; nothing is done."""
        ...

    async def perform(self, call: ActionCall, effect: LedgerRow, /) -> EffectOutcome:
        """Does it, under the effect's key. Raises HandlerFailed."""
        ...

    async def look_up(self, call: ActionCall, effect: Claim, /) -> EffectOutcome | None:
        """What the other side knows of the key, where that is the declared recovery; None: it was not done.

        Raises HandlerFailed (unknown) where it does not say.
        """
        ...

    async def still_stands(self, key: str, /) -> bool:
        """Whether the effect *key*, confirmed before, is still there."""
        ...


class _Handler:
    """What most handlers have in common."""

    own_database: ClassVar[bool] = True

    async def look_up(self, _call: ActionCall, _effect: Claim) -> EffectOutcome | None:
        raise HandlerFailed("it cannot be looked up", unknown=True)

    async def still_stands(self, _key: str) -> bool:
        return True


class HandOff(_Handler):
    """Calls a human: a row of ours. It ends with a release, so asked for again it is done again."""

    name: ClassVar[str] = "handoff"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @classmethod
    def declares(cls, _call: ActionCall) -> Declared:
        return Declared(Recovery.REPEAT)

    @classmethod
    def would_do(cls, _call: ActionCall) -> str:
        return "lock the conversation for the bot and record that a human is called"

    async def perform(self, call: ActionCall, effect: LedgerRow) -> EffectOutcome:
        team = str(call.definition.settings.get("team", "support"))
        await self._desk.hand_off(
            effect.conversation_id,
            effect.key,
            team=team,
            reason=call.request.reason,
            details=call.request.metadata,
            opened_by="assistant",
            owner_version=effect.owner_version,
        )
        return EffectOutcome(status=EffectStatus.CONFIRMED, result={"team": team})


class CreateTicket(_Handler):
    """Opens a ticket at the built-in desk: a row of ours, keyed, there until it is resolved."""

    name: ClassVar[str] = "create_ticket"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @classmethod
    def declares(cls, _call: ActionCall) -> Declared:
        return Declared(Recovery.REPEAT, stands=True)

    @classmethod
    def would_do(cls, call: ActionCall) -> str:
        return f"open a ticket at the built-in desk: {_ticket_of(call.shown)['subject']}"

    async def perform(self, call: ActionCall, effect: LedgerRow) -> EffectOutcome:
        ticket = await self._desk.open_ticket(
            effect.conversation_id, effect.key, _ticket_of(call.request), who="assistant", turn_id=effect.turn_id
        )
        result = {"ticket_id": ticket.ticket_id, "status": ticket.status}
        return EffectOutcome(status=EffectStatus.CONFIRMED, result=result, external_id=ticket.ticket_id)

    async def still_stands(self, key: str) -> bool:
        return await self._desk.has_open_ticket(key)


class TicketStatus(_Handler):
    """Reads one of the customer's tickets."""

    name: ClassVar[str] = "ticket_status"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @classmethod
    def declares(cls, _call: ActionCall) -> Declared:
        return Declared(Recovery.REPEAT, changes=False)

    @classmethod
    def would_do(cls, call: ActionCall) -> str:
        return f"look up ticket {call.shown.metadata.get('ticket_id') or '(the newest)'} of this customer"

    async def perform(self, call: ActionCall, effect: LedgerRow) -> EffectOutcome:
        wanted = str(call.request.metadata.get("ticket_id", ""))
        ticket = await self._desk.find_ticket(effect.conversation_id, wanted)
        found = {"found": False} if ticket is None else {"found": True, **ticket.model_dump()}
        return EffectOutcome(status=EffectStatus.CONFIRMED, result=found)


class CloseConversation(_Handler):
    """Closes the conversation: the state that the turn ends in, and nothing else."""

    name: ClassVar[str] = "close_conversation"

    @classmethod
    def declares(cls, _call: ActionCall) -> Declared:
        return Declared(Recovery.REPEAT)

    @classmethod
    def would_do(cls, _call: ActionCall) -> str:
        return "close the conversation"

    async def perform(self, _call: ActionCall, _effect: LedgerRow) -> EffectOutcome:
        return EffectOutcome(status=EffectStatus.CONFIRMED)


class ApiCall(_Handler):
    """Calls an endpoint that an administrator named, with the effect's key as `Idempotency-Key`."""

    name: ClassVar[str] = "api_call"
    own_database: ClassVar[bool] = False

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    @classmethod
    def declares(cls, call: ActionCall) -> Declared:
        endpoint = call.endpoint
        if endpoint is None:  # not configured (any more): the call will surely not be made
            return Declared(Recovery.NONE, stands=True)
        reads = endpoint.reads
        if reads or endpoint.honours_idempotency_key:
            recovery = Recovery.REPEAT
        else:
            recovery = Recovery.LOOK_UP if endpoint.look_up else Recovery.NONE
        return Declared(recovery, changes=not reads, stands=not reads)

    @classmethod
    def would_do(cls, call: ActionCall) -> str:
        endpoint = call.endpoint
        if endpoint is None:
            return "nothing: the endpoint is not configured"
        return f"call the endpoint {endpoint.name} with the given parameters"

    async def perform(self, call: ActionCall, effect: LedgerRow) -> EffectOutcome:
        endpoint = call.endpoint
        if endpoint is None:
            raise HandlerFailed("the endpoint is not configured any more")
        params, lag = _params_of(call), latest_seconds(endpoint)
        if endpoint.look_up is not None:
            params |= {endpoint.look_up.key_param: effect.key} if endpoint.look_up.key_param else {}
        try:
            result = await self._endpoints.call(endpoint, params, effect.key)
            if result.status == _NOT_FOUND and not call.definition.returns_result:
                raise EndpointFailed(CallFailureKind.FAILED, f"{endpoint.name} answered {_NOT_FOUND}")
        except EndpointFailed as failed:
            unknown = failed.kind is CallFailureKind.UNKNOWN
            raise HandlerFailed(
                failed.explanation,
                retryable=failed.kind is CallFailureKind.NOT_SENT,
                unknown=unknown,
                retry_after=max(failed.retry_after or 1.0, lag if unknown else 0.0),
            ) from failed
        answer = {"status": result.status, "body": body_of(result)}
        unread = {"unread": result.unread} if result.unread else {}
        return EffectOutcome(status=EffectStatus.CONFIRMED, result=answer | unread)

    async def look_up(self, call: ActionCall, effect: Claim) -> EffectOutcome | None:
        if call.endpoint is None or call.endpoint.look_up is None:
            raise HandlerFailed("it cannot be looked up", unknown=True)
        try:
            return await look_up(self._endpoints, call.endpoint, call.endpoint.look_up, _params_of(call), effect)
        except EndpointFailed as failed:
            after = failed.retry_after or 1.0
            raise HandlerFailed(f"looked up: {failed.explanation}", unknown=True, retry_after=after) from failed


HANDLERS: dict[str, type[ActionHandler]] = {
    each.name: each for each in (HandOff, CreateTicket, TicketStatus, CloseConversation, ApiCall)
}
"""All there are, by the name that `ActionDefinition.handler` gives."""


class Handlers:
    """The handlers at work. *more* take the place of those of the same name, or stand beside them."""

    def __init__(self, desk: Desk, endpoints: Endpoints, more: tuple[ActionHandler, ...] = ()) -> None:
        own: tuple[ActionHandler, ...] = (HandOff(desk), CreateTicket(desk), TicketStatus(desk), CloseConversation())
        self._by_name = {each.name: each for each in (*own, ApiCall(endpoints), *more)}

    def of(self, name: str) -> ActionHandler:
        """Raises HandlerFailed for a name that no handler has."""
        if name not in self._by_name:
            raise HandlerFailed(f"there is no handler {name}")
        return self._by_name[name]


def declared(call: ActionCall) -> Declared:
    """What its handler says of *call*; of one that nobody handles, nothing is known."""
    handler = HANDLERS.get(call.definition.handler)
    return handler.declares(call) if handler else Declared(Recovery.NONE)


def in_own_database(handler: str | None) -> bool:
    return handler is not None and handler in HANDLERS and HANDLERS[handler].own_database


def configuration_errors(config: AssistantActions) -> list[ConfigurationProblem]:
    """What of *config* could never be performed: unknown handlers and endpoints, with JSON pointers into it."""
    endpoints = [endpoint.name for endpoint in config.endpoints]
    errors = []
    for index, definition in enumerate(config.custom):
        if definition.handler not in HANDLERS:
            message = f"there is no such handler; there are: {', '.join(sorted(HANDLERS))}"
            errors.append(ConfigurationProblem(path=f"/custom/{index}/handler", message=message))
        if definition.handler == ApiCall.name and definition.settings.get("endpoint") not in endpoints:
            errors.append(
                ConfigurationProblem(path=f"/custom/{index}/settings/endpoint", message="name one of the endpoints")
            )
    return errors


def dry_run(call: ActionCall) -> str:
    """What its handler would do, as text; nothing is done."""
    known = HANDLERS.get(call.definition.handler)
    return known.would_do(call) if known else f"nothing: there is no handler {call.definition.handler}"


def _ticket_of(request: ActionRequest) -> dict[str, Any]:
    """The ticket's fields; an administrator's own action may have others, which all go into the description."""
    metadata = request.metadata
    described = "\n".join(f"{name}: {value}" for name, value in metadata.items())
    return {
        **metadata,
        "subject": str(metadata.get("subject") or request.reason)[:200],
        "description": str(metadata.get("description") or described or request.reason),
    }


def _params_of(call: ActionCall) -> dict[str, Any]:
    """The endpoint's parameters. An administrator's own action names its endpoint in its settings."""
    metadata = call.request.metadata
    own = call.definition.settings.get("endpoint") is not None
    return dict(metadata if own else metadata.get("params", {}))
