"""Pure decisions of a conversation: what is due now and when to look again, what operators are told.

The workflow asks; nothing here knows of Temporal. All times are the workflow's own.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from schemas.actions import MOST_RETRIES
from schemas.conversations import Deadlines, Limits, TurnOutcome, WorkflowState
from schemas.standing import Owner, Standing
from schemas.turns import State, Verdict

SETTABLE_STATES = frozenset({State.BOT, State.HUMAN_HANDOFF, State.CLOSED})
"""The others follow from what is open."""

_STATES = {
    State.BOT: "The bot answers",
    State.AWAITING_CONFIRMATION: "Waiting for a confirmation",
    State.HUMAN_HANDOFF: "A human has the conversation; the bot keeps quiet",
    State.TICKET_OPEN: "A ticket is open",
    State.CLOSED: "Closed; the next message opens it again",
}


class Duty(StrEnum):
    """What a run does, at most one of each at a time. They go on beside each other; nothing is begun beside
    `load_state`, `hand_over` and `end`."""

    LOAD = "load_state"  #: somebody changed the conversation in the database: read it, before anything else is begun
    EXPIRE = "expire"  #: end the questions and approvals whose time is over
    DELIVER = "deliver"  #: send the replies that are due over the channel
    FETCH = "fetch"  #: fetch the files that the customer sent
    ANSWER = "answer"  #: take the turn of the messages after the cursor
    END = "end"  #: nobody has written for long: read whether somebody still waits for something, else end
    HAND_OVER = "hand_over"  #: it is merged: hand what is left to the conversation that goes on, then end


_SLOW = frozenset({Duty.DELIVER, Duty.FETCH})
"""What may hang for as long as a channel does: nothing else waits for it."""
_ALONE = frozenset({Duty.LOAD, Duty.END, Duty.HAND_OVER})
"""Nothing is begun beside these."""


def due(
    current: WorkflowState,
    now: datetime,
    under_way: Collection[Duty],
    *,
    stale: bool,
    gave_up: bool,
    full: bool,
    handed_over: bool = False,
) -> tuple[Duty, ...]:
    """What is to be begun now, beside what is *under_way*.

    *stale*: the workflow's state is not what the database says. *gave_up*: a turn could not be taken
    for long. *full*: the run is to leave; what is quick goes on for as long as something slow keeps it. *handed_over*:
    nothing is left of a merged one.
    """
    if not _ALONE.isdisjoint(under_way) or (full and not current.merged and _SLOW.isdisjoint(under_way)):
        return ()
    if current.merged and not stale:
        return _due_of_merged(current, now, under_way, gave_up=gave_up, handed_over=handed_over)
    wanted = {
        Duty.EXPIRE: _came(current.deadlines.expiry, now),
        Duty.DELIVER: current.delivery_due and _passed(current.deadlines.delivery, now),
        Duty.FETCH: current.files_due and not full,
        Duty.ANSWER: work_waits(current, gave_up=gave_up) and _may_answer(current.deadlines, now),
    }
    if stale:
        return (Duty.LOAD,)
    if not under_way and not any(wanted.values()) and _came(current.deadlines.idle, now):
        return (Duty.END,)
    return tuple(duty for duty, is_wanted in wanted.items() if is_wanted and duty not in under_way)


def _due_of_merged(
    current: WorkflowState, now: datetime, under_way: Collection[Duty], *, gave_up: bool, handed_over: bool
) -> tuple[Duty, ...]:
    """A turn whose effect is under way ends where it began; all else is the other conversation's."""
    if work_waits(current, gave_up=gave_up):
        return (Duty.ANSWER,) if Duty.ANSWER not in under_way and _may_answer(current.deadlines, now) else ()
    is_left = current.delivery_due or not handed_over
    return (Duty.HAND_OVER,) if is_left and _SLOW.issuperset(under_way) else ()


def next_deadline(current: WorkflowState, now: datetime, *, gave_up: bool) -> datetime | None:
    """The earliest moment to look again, if nothing happens before; what is due already needs no timer."""
    deadlines = current.deadlines
    moments = [] if current.merged else [deadlines.expiry, deadlines.idle]
    if work_waits(current, gave_up=gave_up):
        moments += [deadlines.quiet, deadlines.room]
    if current.delivery_due and not current.merged:
        moments.append(deadlines.delivery)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def work_waits(current: WorkflowState, *, gave_up: bool) -> bool:
    """Whether messages are to be answered; after giving up, the next wake-up tries again."""
    return current.newest_seq > current.cursor and not gave_up


def run_is_full(limits: Limits, turns_in_run: int, events: int, *, suggested: bool) -> bool:
    """Whether to continue as new before the history gets heavy."""
    return suggested or turns_in_run >= limits.continue_as_new_turns or events >= limits.continue_as_new_events


def hear(current: WorkflowState, limits: Limits, seq: int, now: datetime, *, files: bool = False) -> None:
    """A message is stored: the debounce window moves with each, though not beyond its cap, and nobody is idle."""
    if current.merged:  # it waits in the conversation that goes on
        return
    deadlines = current.deadlines
    current.files_due |= files
    deadlines.idle = now + limits.idle_end
    current.newest_seq = max(current.newest_seq, seq)
    if limits.quiet > timedelta() and current.newest_seq > current.cursor:
        deadlines.quiet_cap = deadlines.quiet_cap or now + limits.quiet_cap
        deadlines.quiet = min(now + limits.quiet, deadlines.quiet_cap)


def begin_turn(deadlines: Deadlines) -> None:
    """What led to the turn has done its duty: messages that come from now on open a window of their own."""
    deadlines.quiet = deadlines.quiet_cap = deadlines.room = None


def with_stored(heard: WorkflowState, stored: WorkflowState, limits: Limits, now: datetime) -> WorkflowState:
    """What is stored, with what only the workflow knows: wake-ups and deadlines."""
    current = stored.model_copy(update={"deadlines": heard.deadlines, "files_due": heard.files_due})
    if not stored.merged:  # else what was heard of beyond that is the other conversation's
        current.newest_seq = max(stored.newest_seq, heard.newest_seq)
    current.delivery_due = heard.delivery_due or stored.standing.deliveries > 0
    deadlines = current.deadlines
    deadlines.idle = min(deadlines.idle or now + limits.idle_end, now + limits.idle_end)
    apply_standing(current, stored.standing, limits, now)
    return current


def apply_standing(current: WorkflowState, standing: Standing, limits: Limits, now: datetime) -> None:
    """The conversation stands so. What has expired already is looked at again soon."""
    current.standing = standing
    current.state = standing.state
    current.ticket_id = standing.tickets[-1] if standing.tickets else None
    left = standing.seconds_left
    current.deadlines.expiry = None if left is None else now + max(timedelta(seconds=left), limits.turn_retry_pause)
    if standing.owner is not Owner.BOT:  # nothing is asked: what waits for room at the account does so no longer
        current.deadlines.room = None


def apply_outcome(current: WorkflowState, outcome: TurnOutcome, asked: int, signalled_seq: int) -> None:
    """What a turn came to that was *asked* for after that number, and *signalled_seq* messages up to the other one."""
    if outcome.cursor == asked:  # nothing waits, for what we were told of was erased meanwhile
        current.newest_seq = current.cursor if current.newest_seq == signalled_seq else current.newest_seq
        return
    current.cursor = max(current.cursor, outcome.cursor)
    current.newest_seq = max(current.newest_seq, current.cursor, outcome.waiting_seq or 0)
    current.thread = outcome.thread or current.thread
    current.turns += 1
    current.state = outcome.state if outcome.standing is None else current.state
    current.last_verdict = outcome.verdict or current.last_verdict
    current.ticket_id = (outcome.ticket_id if outcome.standing is None else None) or current.ticket_id
    current.delivery_due |= outcome.needs_delivery


def may_stand_otherwise(current: WorkflowState, outcome: TurnOutcome) -> bool:
    """Whether the turn may have changed who has the conversation, or what is open, and does not say to what."""
    changed = outcome.verdict is Verdict.ACTION or outcome.state != current.standing.state
    return outcome.standing is None and outcome.turn_id is not None and changed


def may_end(current: WorkflowState, limits: Limits, now: datetime) -> bool:
    """Whether the run may end as idle, by what was just read; else it is asked again after the same time."""
    if current.merged or not _came(current.deadlines.idle, now):  # it hands over first, or somebody wrote meanwhile
        return False
    waits = (
        current.delivery_due
        or current.files_due
        or work_waits(current, gave_up=False)
        or current.standing.keeps_the_run
    )
    current.deadlines.idle = now + limits.idle_end if waits else None
    return not waits


def action_give_up(limits: Limits) -> timedelta:
    """An action is tried as often, and takes as long, as its definition says."""
    return limits.turn_give_up + (1 + MOST_RETRIES) * limits.action_timeout


def details(current: WorkflowState, *, busy: bool) -> str:
    """Where the conversation stands, in plain words, for Temporal's UI."""
    waiting = current.newest_seq - current.cursor
    lines = [
        f"**{_STATES[current.state]}.** {'Answering now.' if busy else 'Quiet.'}",
        f"- Turns: {current.turns}, messages waiting: {waiting}",
        f"- Last verdict: {current.last_verdict or 'none yet'}",
    ]
    if current.thread:
        lines.append(f"- Thread: `{current.thread.frontend_context_uuid}`, answer `{current.thread.backend_uuid}`")
    return "\n".join(lines)


def _may_answer(deadlines: Deadlines, now: datetime) -> bool:
    return _passed(deadlines.quiet, now) and _passed(deadlines.room, now)


def _passed(moment: datetime | None, now: datetime) -> bool:
    """Nothing is to be waited for (any more)."""
    return moment is None or moment <= now


def _came(moment: datetime | None, now: datetime) -> bool:
    """A moment that was set has come."""
    return moment is not None and moment <= now
