"""Everything that can go wrong while the model is asked, and what follows: the one table the whole system obeys.

Three things decide each row (docs/reliability.md: a caller that leaves does not stop a model call, so asking twice
makes a second turn in the thread):
* was the prompt certainly not put (`not_sent`), certainly without an answer (`failed`), or may an answer
  exist that we did not get (`unknown`)?
* is it worth another try, and after how long?
* what is the customer told once the tries are used up?
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class ModelFailureKind(StrEnum):
    """Why a model call brought no answer. Values are stored and counted, so they never change their meaning."""

    CONNECT = "connect"  # refused, DNS, TLS: no byte of the prompt left
    SESSION = "session"  # the wrapper lost its session call before the prompt was put
    RATE_LIMITED = "rate_limited"  # HTTP 429, from a proxy or upstream, with or without Retry-After
    GATEWAY = "gateway"  # HTTP 502 or 503 from a proxy in front, where the wrapper would have begun a stream at once
    OVERLOADED = "overloaded"  # HTTP 502, 503 or 504 from a proxy in front, HTML or not: it may have been asked
    BUSY_HERE = "busy_here"  # our own limit for the account; nothing was sent
    BLOCKED = "blocked"  # upstream refused: `data: null`, only a done frame, `'NoneType' object …`
    NO_ANSWER = "no_answer"  # `answer: null`, or a clean end without an accepted answer
    LIMIT = "limit"  # upstream marks that the account is at a limit of its own: not asked again for a while
    REFUSED = "refused"  # upstream marks that there is no answer: a status other than COMPLETED, or an error code
    UNKNOWN_SHAPE = "unknown_shape"  # an answer may be in it, and nobody here can read it: asking again brings the same
    UPSTREAM = "upstream"  # an error frame, or HTTP 500 with an error text
    CUT = "cut"  # the stream or body broke off in the middle
    SILENT = "silent"  # no byte for longer than silence may last
    TOO_SLOW = "too_slow"  # the whole answer took longer than it may
    TOO_LARGE = "too_large"  # the answer is larger than we take
    MALFORMED = "malformed"  # HTML, or JSON of no known shape, under 200
    QUESTION_TOO_LONG = "question_too_long"  # HTTP 400: the request line is over the wrapper's limit
    ACCOUNT = "account"  # the account is unknown to the wrapper, or its cookies have expired
    REJECTED = "rejected"  # wrong mode, model, source or parameter: ours to repair
    INTERRUPTED = "interrupted"  # dropped by us: the customer wrote on, and both messages are asked about at once
    ABANDONED = "abandoned"  # the worker that asked is gone; nobody knows what came of it


class Certainty(StrEnum):
    """What we know of a call that failed: a prompt to the model, or a message that was to be sent."""

    NOT_SENT = "not_sent"  #: no byte of it left
    FAILED = "failed"  #: it surely had no effect
    UNKNOWN = "unknown"  #: it may have had one that nobody told us of


class Apology(StrEnum):
    """Which of the assistant's texts the customer gets (`schemas.assistants.Texts`)."""

    TROUBLE = "trouble"
    TOO_LONG = "too_long"


class ModelFailurePolicy(BaseModel):
    """One row: see the module's docstring. `first_pause` is seconds before the first retry; it doubles each time.

    A `Retry-After` of the service replaces the pause. Retries are bounded by TURN_ATTEMPTS, and where the
    outcome is unknown also by TURN_REASKS_AFTER_UNKNOWN. `waited_out`: nobody was reached, so for
    PERPLEXITY_PATIENCE_SECONDS of each outage it costs neither a try nor one of the account's calls. `tries`: at most
    so many prompts of a step end so. `alarms`: somebody has to see to it.
    """

    model_config = ConfigDict(frozen=True)

    certainty: Certainty
    retried: bool
    first_pause: float = 2.0
    waited_out: bool = False
    tries: int | None = None
    alarms: bool = False
    apology: Apology = Apology.TROUBLE


_NOT_SENT, _FAILED, _UNKNOWN = Certainty.NOT_SENT, Certainty.FAILED, Certainty.UNKNOWN

MODEL_FAILURES: dict[ModelFailureKind, ModelFailurePolicy] = {
    ModelFailureKind.CONNECT: ModelFailurePolicy(certainty=_NOT_SENT, retried=True, first_pause=1.0, waited_out=True),
    ModelFailureKind.SESSION: ModelFailurePolicy(certainty=_NOT_SENT, retried=True, first_pause=1.0, waited_out=True),
    ModelFailureKind.RATE_LIMITED: ModelFailurePolicy(certainty=_NOT_SENT, retried=True, first_pause=10.0),
    ModelFailureKind.GATEWAY: ModelFailurePolicy(certainty=_NOT_SENT, retried=True, first_pause=5.0, waited_out=True),
    ModelFailureKind.OVERLOADED: ModelFailurePolicy(certainty=_UNKNOWN, retried=True, first_pause=5.0),
    ModelFailureKind.BUSY_HERE: ModelFailurePolicy(certainty=_NOT_SENT, retried=True, first_pause=5.0),
    ModelFailureKind.BLOCKED: ModelFailurePolicy(certainty=_FAILED, retried=True, first_pause=5.0),
    ModelFailureKind.NO_ANSWER: ModelFailurePolicy(certainty=_FAILED, retried=True, first_pause=2.0),
    ModelFailureKind.LIMIT: ModelFailurePolicy(certainty=_FAILED, retried=False, alarms=True),
    ModelFailureKind.REFUSED: ModelFailurePolicy(certainty=_FAILED, retried=True, first_pause=5.0, tries=3),
    ModelFailureKind.UNKNOWN_SHAPE: ModelFailurePolicy(certainty=_FAILED, retried=False, alarms=True),
    ModelFailureKind.UPSTREAM: ModelFailurePolicy(certainty=_FAILED, retried=True, first_pause=2.0),
    ModelFailureKind.CUT: ModelFailurePolicy(certainty=_UNKNOWN, retried=True, first_pause=5.0),
    ModelFailureKind.SILENT: ModelFailurePolicy(certainty=_UNKNOWN, retried=True, first_pause=5.0),
    ModelFailureKind.TOO_SLOW: ModelFailurePolicy(certainty=_UNKNOWN, retried=True, first_pause=5.0),
    ModelFailureKind.TOO_LARGE: ModelFailurePolicy(certainty=_FAILED, retried=False),
    ModelFailureKind.MALFORMED: ModelFailurePolicy(certainty=_UNKNOWN, retried=True, first_pause=5.0),
    ModelFailureKind.QUESTION_TOO_LONG: ModelFailurePolicy(
        certainty=_NOT_SENT, retried=False, apology=Apology.TOO_LONG
    ),
    ModelFailureKind.ACCOUNT: ModelFailurePolicy(certainty=_NOT_SENT, retried=False, alarms=True),
    ModelFailureKind.REJECTED: ModelFailurePolicy(certainty=_NOT_SENT, retried=False),
    ModelFailureKind.INTERRUPTED: ModelFailurePolicy(certainty=_FAILED, retried=True, first_pause=0.0),
    ModelFailureKind.ABANDONED: ModelFailurePolicy(certainty=_UNKNOWN, retried=True, first_pause=0.0),
}


WAITED_OUT = frozenset(kind for kind, policy in MODEL_FAILURES.items() if policy.waited_out)
"""Failures that say that the wrapper, or upstream behind it, cannot be reached: an outage."""

NOT_REACHED = WAITED_OUT | {ModelFailureKind.BUSY_HERE, ModelFailureKind.INTERRUPTED, ModelFailureKind.ABANDONED}
"""Failures that do not show that anybody was reached. Any other, and an output, ends an outage."""


class TryLimits(BaseModel):
    """How often a turn's prompt is put: in all, and again although an answer may exist (settings TURN_*)."""

    model_config = ConfigDict(frozen=True)

    attempts: int = 4
    reasks_after_unknown: int = 2
    pause_max: float = 60.0


def pause_before_retry(
    kind: ModelFailureKind, limits: TryLimits, *, attempt: int, unknown_attempts: int, retry_after: float | None = None
) -> float | None:
    """Seconds to wait before the next try after *kind*, or None if there is to be none.

    *attempt* counts the tries so far that count; *unknown_attempts* those among them whose outcome nobody knows.
    """
    policy = MODEL_FAILURES[kind]
    if not policy.retried or not may_ask(limits, attempt=attempt + 1, unknown_attempts=unknown_attempts):
        return None
    if policy.tries is not None and attempt >= policy.tries:
        return None
    if retry_after is not None:
        return min(max(retry_after, 0.0), limits.pause_max)
    return float(min(policy.first_pause * 2 ** max(attempt - 1, 0), limits.pause_max))


def may_ask(limits: TryLimits, *, attempt: int, unknown_attempts: int) -> bool:
    """Whether try number *attempt* may put the prompt, after *unknown_attempts* ones whose outcome nobody knows."""
    return attempt <= limits.attempts and unknown_attempts <= limits.reasks_after_unknown
