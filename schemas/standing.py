"""Who has a conversation, and what is open in it: separate facts. The five states are a projection of them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from schemas.turns import State


class Owner(StrEnum):
    """Who has the conversation. bot ──hand over──▶ human ──release──▶ bot; any ──close──▶ closed ──message──▶ bot"""

    BOT = "bot"  #: the assistant answers
    HUMAN = "human"  #: a person has it, or is called: the bot keeps quiet
    CLOSED = "closed"  #: nobody; the customer's next message opens it again


class Standing(BaseModel):
    """The owner under its version, and what is open. `version` rises with each change of the owner."""

    model_config = ConfigDict(frozen=True)

    owner: Owner = Owner.BOT
    version: int = 0
    questions: int = 0
    """To the customer, open."""
    approvals: int = 0
    """Of staff, open."""
    tickets: tuple[str, ...] = ()
    """Ids of the open ones, oldest first."""
    deliveries: int = 0
    """Replies not yet delivered, over a channel."""
    seconds_left: float | None = None
    """Until the first open question or approval expires, by the database's clock when this was read: a moment of that
    clock would say little to a workflow, whose time is Temporal's."""

    @property
    def state(self) -> State:
        """The projection; the owner goes before what is open, and a question to the customer before a ticket."""
        if self.owner is Owner.CLOSED:
            return State.CLOSED
        if self.owner is Owner.HUMAN:
            return State.HUMAN_HANDOFF
        if self.questions:
            return State.AWAITING_CONFIRMATION
        return State.TICKET_OPEN if self.tickets else State.BOT

    @property
    def keeps_the_run(self) -> bool:
        """A run does not end as idle while somebody waits for something."""
        return bool(self.owner is Owner.HUMAN or self.questions or self.approvals or self.tickets or self.deliveries)
