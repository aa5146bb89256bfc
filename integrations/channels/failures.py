"""Everything that can go wrong when something is sent, and what follows: one table for both vendors.

The question that decides is whether the message may have gone out. Only where it surely did not is it sent again
without asking anybody; an UNKNOWN is settled by the status webhook that carries our delivery id.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from schemas.failures import Certainty


class SendFailureKind(StrEnum):
    """Why a message was not accepted. Values are stored and counted, so they never change their meaning."""

    TRANSIENT = "transient"  # the service refused for a passing reason, or was not reached
    RATE_LIMITED = "rate_limited"  # our account or number sends too fast
    PAIR_LIMITED = "pair_limited"  # too many messages to this one customer
    OUTSIDE_WINDOW = "outside_window"  # more than 24 hours since the customer wrote: only templates
    RECIPIENT_FINAL = "recipient_final"  # not on WhatsApp, blocked us, opted out: this one never gets it
    OURS = "ours"  # token, permission, parameter, template, payment: an operator repairs it
    UNKNOWN = "unknown"  # it left us and nobody knows whether it was accepted


class SendFailurePolicy(BaseModel):
    """`retried` by itself, after `first_pause` seconds, doubling; a `retry_after` of the service replaces the pause.

    `certainty` FAILED: the message surely did not go out.
    """

    model_config = ConfigDict(frozen=True)

    retried: bool
    certainty: Certainty = Certainty.FAILED
    first_pause: float = 2.0


# Meta allows one message per 6 s to one customer (after a burst of 45), and asks to back off exponentially.
SEND_FAILURES: dict[SendFailureKind, SendFailurePolicy] = {
    SendFailureKind.TRANSIENT: SendFailurePolicy(retried=True, first_pause=2.0),
    SendFailureKind.RATE_LIMITED: SendFailurePolicy(retried=True, first_pause=5.0),
    SendFailureKind.PAIR_LIMITED: SendFailurePolicy(retried=True, first_pause=6.0),
    SendFailureKind.OUTSIDE_WINDOW: SendFailurePolicy(retried=False),
    SendFailureKind.RECIPIENT_FINAL: SendFailurePolicy(retried=False),
    SendFailureKind.OURS: SendFailurePolicy(retried=False),
    SendFailureKind.UNKNOWN: SendFailurePolicy(retried=False, certainty=Certainty.UNKNOWN),
}


class SendFailed(Exception):
    """The message was not (or not surely) accepted. `explanation` holds no secret and no word of the message.

    `retry_after` is in seconds, None if the service named none; `code` is the vendor's.
    """

    def __init__(
        self,
        kind: SendFailureKind,
        explanation: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{kind}: {explanation}")
        self.kind = kind
        self.explanation = explanation
        self.code = code
        self.retry_after = retry_after

    @property
    def policy(self) -> SendFailurePolicy:
        return SEND_FAILURES[self.kind]


class MediaFailureKind(StrEnum):
    """Why a file was not taken. EXPIRED and TRANSIENT may be tried again from `media_info`; the rest never."""

    EXPIRED = "expired"  # gone at the channel, or its address is older than its life of five minutes
    TRANSIENT = "transient"
    TOO_LARGE = "too_large"
    TYPE_REFUSED = "type_refused"  # not on the list: SVG, HTML and archives among them
    WRONG_HASH = "wrong_hash"  # the bytes are not those that were announced
    HOST_REFUSED = "host_refused"  # the address leads somewhere else than the channel's own hosts
    OURS = "ours"  # token or permission


class MediaFailed(Exception):
    """A file of the customer could not be had. Its message is kept all the same."""

    def __init__(self, problem: MediaFailureKind, explanation: str) -> None:
        super().__init__(f"{problem}: {explanation}")
        self.problem = problem
        self.explanation = explanation
