"""What can happen to a conversation: each event is a row of the gates' table (`actions.gates`), and the reason of each
row in `transitions` is one of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, Field

from schemas.standing import Owner


class Event(StrEnum):
    """What occurs. The values are stored as a transition's `why`, so they never change their meaning."""

    MESSAGE = "message"  #: the customer writes
    ACTION = "action"  #: the model asks for one valid action
    HANDOFF = "handoff"  #: an action calls a person
    ASKED = "asked"  #: the customer is asked to confirm an action
    APPROVAL_ASKED = "approval_asked"  #: staff are asked to approve an action
    CONFIRMED = "confirmed"  #: whoever was asked says yes to exactly that question, in time
    DECLINED = "declined"  #: they say no
    CANCELLED = "cancelled"  #: the question is dropped: by other words of the customer, or a change of the owner
    EXPIRED = "expired"  #: nobody answered in time
    REFUSED = "refused"  #: confirmed, but the configuration of now has the action no more
    APPROVED = "approved"  #: staff agree to an action that waited for them
    DISAPPROVED = "disapproved"  #: they do not
    TAKEN = "taken"  #: a person takes the conversation
    RELEASED = "released"  #: it is given to the bot
    CLOSED = "closed"  #: it is closed, by an action or by hand
    RESET = "reset"  #: it starts over
    TICKET_OPENED = "ticket_opened"
    TICKET_RESOLVED = "ticket_resolved"
    MERGED = "merged"  #: the customer turned out to be another one
    ERASED = "erased"  #: the customer is erased


class Transition(BaseModel):
    """One change of a conversation: of its owner, or of what is open in it."""

    id: int
    version: int
    """The owner's version afterwards."""
    from_owner: Owner = Field(serialization_alias="from")
    to_owner: Owner = Field(serialization_alias="to")
    why: Event
    who: str
    at: datetime
    turn_id: UUID | None = None
    """The turn that did it, where one did."""
