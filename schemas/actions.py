"""Actions: what the model may ask for, what an administrator declares, and what one output was found to be.

`ActionRequest` is what the model writes; `ActionDefinition` declares what it may write; `AssistantActions` is one
assistant's choice among the definitions. The metadata models are the built-in actions of docs/actions.md.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from schemas.standing import Owner
from schemas.turns import OutputError, State, Verdict

ActionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
ShortText = Annotated[str, Field(max_length=200)]
LongText = Annotated[str, Field(max_length=2_000)]
Urgency = Literal["low", "normal", "high"]
Priority = Literal["low", "normal", "high", "urgent"]
PACK_CHARACTERS = 64
MOST_RETRIES = 10
"""What a definition may ask for; the workflow has the patience for it."""


class Confirmation(StrEnum):
    """Who has to agree before an action is done."""

    NONE = "none"
    CUSTOMER = "customer"
    STAFF = "staff"

    @classmethod
    def strictest(cls, *demanded: Confirmation) -> Confirmation:
        """What holds where several are demanded: nothing loosens another's demand. They stand here by strictness."""
        return max(demanded, key=list(cls).index)


class ActionStatus(StrEnum):
    """What people have said to an action; what came of it is in the ledger (`schemas.effects`).

        awaiting_confirmation ──yes──▶ accepted
                              ├─yes, and its assistant has the action no more──▶ refused
                              ├─no──▶ cancelled
                              └─────▶ expired
        accepted, without a question · refused, where it was not allowed
        accepted ──▶ cancelled, where another owner had the conversation before it began

    Values are stored, so they never change their meaning.
    """

    AWAITING_CONFIRMATION = "awaiting_confirmation"  #: the customer, or staff, is asked
    ACCEPTED = "accepted"  #: it has its place in the ledger
    CANCELLED = "cancelled"  #: declined, or set aside by something newer: words, another owner
    EXPIRED = "expired"  #: nobody answered in time
    REFUSED = "refused"  #: not allowed here and now, or not configured any more


class ActionRequest(BaseModel):
    """The one JSON object that a model writes to ask for an action."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    action: str = Field(min_length=1, max_length=64)
    reason: Reason
    metadata: dict[str, Any] = Field(default_factory=dict)
    pack: str | None = Field(default=None, max_length=PACK_CHARACTERS)
    """The version of the prompt pack that the model says it works under: recorded, never shown."""

    @model_serializer(mode="wrap")
    def _without_no_pack(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name != "pack" or value is not None}


class ActionMetadata(BaseModel):
    """What all built-in metadata have in common: an optional field is left out, never null."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class HandoffSalesMetadata(ActionMetadata):
    summary: LongText = Field(default="", description="What the customer wants, in one or two sentences")
    product: ShortText = Field(default="", description="The product or service it is about")
    contact: ShortText = Field(default="", description="How the customer wants to be reached")
    urgency: Urgency = "normal"


class HandoffSupportMetadata(ActionMetadata):
    summary: LongText = Field(default="", description="What the customer needs help with")
    contact: ShortText = Field(default="", description="How the customer wants to be reached")
    urgency: Urgency = "normal"


class CreateTicketMetadata(ActionMetadata):
    subject: str = Field(min_length=1, max_length=200, pattern=r"\S", description="One line")
    description: str = Field(min_length=1, max_length=8_000, pattern=r"\S", description="Everything staff need to know")
    priority: Priority = "normal"
    category: ShortText = Field(default="", description="What kind of matter it is")


class TicketStatusMetadata(ActionMetadata):
    ticket_id: str = Field(
        default="", max_length=64, description="As the customer wrote it; leave it out for the newest ticket"
    )


class ApiCallMetadata(ActionMetadata):
    endpoint: str = Field(min_length=1, max_length=64, description="The name of a configured endpoint")
    params: dict[str, Any] = Field(description="That endpoint's parameters")


class CloseConversationMetadata(ActionMetadata):
    summary: LongText = Field(default="", description="What was settled")


HANDS_TO = {"handoff": Owner.HUMAN, "close_conversation": Owner.CLOSED}
"""Handlers that do nothing but change who has the conversation: nobody need say so in `leads_to`."""


class ActionDefinition(BaseModel):
    """Declares one action: what may be asked for, where, with whose consent, and how it is done.

    `plain` finishes the sentence “Shall I …?” for the customer. `leads_to` is who has the conversation once the
    action is done (None: as `owner_after` says). `settings` are the handler's own. `retries` counts further tries
    after the first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ActionName
    description: str = Field(min_length=1, max_length=500)
    metadata_schema: dict[str, Any]
    handler: str = Field(min_length=1, max_length=64)
    plain: str = Field(default="", max_length=200)
    states: tuple[State, ...] = (State.BOT, State.TICKET_OPEN)
    confirmation: Confirmation = Confirmation.NONE
    destructive: bool = False
    safe: bool = False
    """An administrator's action is done without anybody's yes only if it says so, and why."""
    safe_because: str = Field(default="", max_length=500)
    retries: int = Field(default=2, ge=0, le=MOST_RETRIES)
    time_limit_seconds: float = Field(default=30.0, gt=0, le=600)
    returns_result: bool = False
    leads_to: Owner | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    example: dict[str, Any] = Field(default_factory=dict)
    """A metadata object that fits the schema, shown to the model."""

    @property
    def confirmed_by(self) -> Confirmation:
        """Who is asked: what destroys, and what is not declared safe, is never done without anybody's consent."""
        if self.confirmation is Confirmation.NONE and (self.destructive or not self.safe):
            return Confirmation.CUSTOMER
        return self.confirmation

    @property
    def owner_after(self) -> Owner | None:
        """Who has the conversation once it is done; None: as before. Some handlers are such a change themselves."""
        return HANDS_TO.get(self.handler, self.leads_to)


API_CALL = "api_call"
"""The action, and the handler, that calls an endpoint."""
PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}", re.IGNORECASE)
"""Where a parameter is in an endpoint's URL."""
KEY = "key"
"""The place of the effect's key in a look-up's URL."""


def private_host(place: str) -> str:
    """`host:port` as it is compared: names have no case, and brackets only part an address from its port."""
    return place.strip().lower().replace("[", "").replace("]", "")


class LookUp(BaseModel):
    """How to ask a service what became of a call of which nobody knows whether it was executed: by the call's key.

    `url` is fetched by GET; it holds `{key}`, and maybe places for parameters that the call must have. 404 says that
    the call was never executed; so does an answer with nothing (or something empty) at `found`, a JSON pointer. Any
    other 2xx says that it was, and what stands there is its result. Whatever else comes says nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(pattern=r"^https?://[^\s/]+", max_length=2_000)
    headers: dict[str, str] | None = Field(default=None, max_length=20)
    """As an endpoint's; None: the endpoint's own."""
    key_param: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")
    """The call names its key under this parameter too, for services that do not keep the header `Idempotency-Key`."""
    found: str = Field(default="", pattern=r"^(/[^/]*)*$", max_length=200)
    lag_seconds: float = Field(default=30.0, ge=0, le=3_600)
    """So long after a call a service may not show what it did: only then is "not there" taken as "not done"."""


class Endpoint(BaseModel):
    """An address that `api_call` may reach. The model fills parameters and never sees or writes the URL.

    `url` may hold `{name}` for parameters of `params_schema`; `headers` maps a header to the name of the secret that
    is its value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: ActionName
    description: str = Field(min_length=1, max_length=500)
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str = Field(pattern=r"^https?://[^\s/]+", max_length=2_000)
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    plain: str = Field(default="", max_length=200)
    """Finishes the sentence “Shall I …?” for the customer."""
    params_schema: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    honours_idempotency_key: bool = False
    """The service does one thing once for one `Idempotency-Key`: then a call of unknown outcome may be repeated."""
    look_up: LookUp | None = None
    """The service can be asked for the key: a call of unknown outcome is looked up, and repeated only if not there."""
    confirmation: Confirmation = Confirmation.NONE
    destructive: bool = False
    safe: bool = False
    """A call that is not a GET is made without anybody's yes only if it says so, and why."""
    safe_because: str = Field(default="", max_length=500)
    retries: int = Field(default=2, ge=0, le=MOST_RETRIES)
    time_limit_seconds: float = Field(default=15.0, gt=0, le=600)
    example: dict[str, Any] = Field(default_factory=dict)

    @property
    def reads(self) -> bool:
        """Whether a call changes nothing."""
        return self.method == "GET"

    @property
    def in_query(self) -> bool:
        """Whether the parameters without a place stand in the query; else they are the body."""
        return self.method in ("GET", "DELETE")

    @property
    def is_safe(self) -> bool:
        """Whether a call needs nobody's yes."""
        return (self.safe or self.reads) and not self.destructive

    @property
    def confirmed_by(self) -> Confirmation:
        """Who is asked, whichever action calls it."""
        return self.confirmation if self.is_safe else Confirmation.strictest(self.confirmation, Confirmation.CUSTOMER)


BUILT_IN_NAMES = (
    "handoff_sales",
    "handoff_support",
    "create_ticket",
    "ticket_status",
    "api_call",
    "close_conversation",
)


class AssistantActions(BaseModel):
    """One assistant's actions: which are on, how outputs are read, and how confirmations go.

    `confirmations` overrides by name who is asked. `unclear_answer` says what any other message does to a question
    that is open. Times are seconds. `repeat_window_seconds` is how long the same parameters count as a repetition,
    where nobody was asked and said yes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: tuple[ActionName, ...] = BUILT_IN_NAMES
    custom: tuple[ActionDefinition, ...] = Field(default=(), max_length=50)
    endpoints: tuple[Endpoint, ...] = Field(default=(), max_length=50)
    confirmations: dict[ActionName, Confirmation] = Field(default_factory=dict)
    lenient: bool = False
    ticket_open: Literal["answer", "hold"] = "answer"
    unclear_answer: Literal["cancel", "keep"] = "cancel"
    confirmation_seconds: float = Field(default=900.0, gt=0, le=604_800)
    approval_seconds: float = Field(default=604_800.0, gt=0, le=2_592_000)
    repairs: int = Field(default=1, ge=0, le=3)
    repair_pause_seconds: float = Field(default=1.0, ge=0, le=60)
    rounds: int = Field(default=3, ge=1, le=3)
    repeat_window_seconds: float = Field(default=600.0, ge=0, le=86_400)
    send_pack: bool = True
    """Without a Space, the prompt pack goes with a thread's first message and after each change of the pack."""


class ConfigurationProblem(BaseModel):
    """What keeps a configuration from being saved. `path` is a JSON pointer into it, or empty."""

    path: str = ""
    message: str


class PendingConfirmation(BaseModel):
    """A question that is open: the action, who has to agree, and until when.

    A yes from before the question is no answer: `asked_seq` is the newest message that had arrived when it was asked;
    `accepted_at` is when the customer could read it: the channel took it, or a caller over HTTP was given it; the year
    9999 until then; None where no words ask. `followed`: other words of ours are newer, so a plain yes may mean those.
    `said_otherwise`: the customer has written since, in an earlier turn, and it was no answer, or behind this one: only
    the question's button is a yes then. `sent_as`: the channel's ids of the messages that asked.
    """

    request: ActionRequest
    digest: str
    by: Confirmation
    expires_at: datetime
    asked_seq: int = 0
    accepted_at: datetime | None = None
    followed: bool = False
    said_otherwise: bool = False
    sent_as: tuple[str, ...] = ()


class ParsedOutput(BaseModel):
    """What one raw output of the model was found to be.

    `text` is for the customer and only set for the verdict `text`; `action` only for `action`. `notes` say what was
    mended or overlooked; `errors` what makes it `invalid`, with JSON pointers into the object. `pack` is the version of
    the prompt pack that an action names, whatever else is wrong with it; a text names none.
    """

    verdict: Verdict
    text: str = ""
    action: ActionRequest | None = None
    pack: str | None = None
    errors: list[OutputError] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
