"""Pure decisions of a conversation: what is due now and when to look again, what operators are told.

The workflow asks; nothing here knows of Temporal. All times are the workflow's own.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

from schemas.actions import MOST_RETRIES
from schemas.conversations import Deadlines, Limits, Memory, TurnOutcome
from schemas.standing import Standing
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
    """What a run does, at most one of each at a time. They go on beside each other, but for `recall` and the ends."""

    RECALL = "recall"  #: somebody changed the conversation in the database: read it, before anything else is begun
    EXPIRE = "expire"  #: end the questions and approvals whose time is over
    DELIVER = "deliver"  #: send the replies that are due over the channel
    FETCH = "fetch"  #: fetch the files that the customer sent
    ANSWER = "answer"  #: take the turn of the messages after the cursor
    END = "end"  #: nobody has written for long: read whether somebody still waits for something, else end
    HAND_OVER = "hand_over"  #: it is merged: hand what is left to the conversation that goes on, then end


_SLOW = frozenset({Duty.DELIVER, Duty.FETCH})
"""What may hang for as long as a channel does: nothing else waits for it."""
_ALONE = frozenset({Duty.RECALL, Duty.END, Duty.HAND_OVER})
"""Nothing is begun beside these."""


def due(
    memory: Memory,
    now: datetime,
    under_way: Collection[Duty],
    *,
    stale: bool,
    gave_up: bool,
    full: bool,
    handed_over: bool = False,
) -> tuple[Duty, ...]:
    """What is to be begun now, beside what is *under_way*.

    *stale*: the memory is not what the database says. *gave_up*: the database was out of reach for a turn. *full*: the
    run is to leave; what is quick goes on for as long as something slow keeps it. *handed_over*: nothing is left of a
    merged one.
    """
    if not _ALONE.isdisjoint(under_way) or (full and not memory.merged and _SLOW.isdisjoint(under_way)):
        return ()
    if memory.merged and not stale:
        return _due_of_merged(memory, now, under_way, gave_up=gave_up, handed_over=handed_over)
    wanted = {
        Duty.EXPIRE: _came(memory.deadlines.expiry, now),
        Duty.DELIVER: memory.delivery_due and _passed(memory.deadlines.delivery, now),
        Duty.FETCH: memory.files_due and not full,
        Duty.ANSWER: work_waits(memory, gave_up=gave_up) and _may_answer(memory.deadlines, now),
    }
    if stale:
        return (Duty.RECALL,)
    if not under_way and not any(wanted.values()) and _came(memory.deadlines.idle, now):
        return (Duty.END,)
    return tuple(duty for duty, is_wanted in wanted.items() if is_wanted and duty not in under_way)


def _due_of_merged(
    memory: Memory, now: datetime, under_way: Collection[Duty], *, gave_up: bool, handed_over: bool
) -> tuple[Duty, ...]:
    """A turn whose effect is under way ends where it began; all else is the other conversation's."""
    if work_waits(memory, gave_up=gave_up):
        return (Duty.ANSWER,) if Duty.ANSWER not in under_way and _may_answer(memory.deadlines, now) else ()
    is_left = memory.delivery_due or not handed_over
    return (Duty.HAND_OVER,) if is_left and _SLOW.issuperset(under_way) else ()


def next_deadline(memory: Memory, now: datetime, *, gave_up: bool) -> datetime | None:
    """The earliest moment to look again, if nothing happens before; what is due already needs no timer."""
    deadlines = memory.deadlines
    moments = [] if memory.merged else [deadlines.expiry, deadlines.idle]
    if work_waits(memory, gave_up=gave_up):
        moments += [deadlines.quiet, deadlines.room]
    if memory.delivery_due and not memory.merged:
        moments.append(deadlines.delivery)
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def work_waits(memory: Memory, *, gave_up: bool) -> bool:
    """Whether messages are to be answered; after giving up, the next wake-up tries again."""
    return memory.newest_seq > memory.cursor and not gave_up


def run_is_full(limits: Limits, turns_in_run: int, events: int, *, suggested: bool) -> bool:
    """Whether to continue as new before the history gets heavy."""
    return suggested or turns_in_run >= limits.continue_as_new_turns or events >= limits.continue_as_new_events


def hear(memory: Memory, limits: Limits, seq: int, now: datetime, *, files: bool = False) -> None:
    """A message is stored: the debounce window moves with each, though not beyond its cap, and nobody is idle."""
    if memory.merged:  # it waits in the conversation that goes on
        return
    deadlines = memory.deadlines
    memory.files_due |= files
    deadlines.idle = now + limits.idle_end
    memory.newest_seq = max(memory.newest_seq, seq)
    if limits.quiet > timedelta() and memory.newest_seq > memory.cursor:
        deadlines.quiet_cap = deadlines.quiet_cap or now + limits.quiet_cap
        deadlines.quiet = min(now + limits.quiet, deadlines.quiet_cap)


def begin_turn(deadlines: Deadlines) -> None:
    """What led to the turn has done its duty: messages that come from now on open a window of their own."""
    deadlines.quiet = deadlines.quiet_cap = deadlines.room = None


def recall(heard: Memory, stored: Memory, limits: Limits, now: datetime) -> Memory:
    """What is stored, with what only the workflow knows: wake-ups and deadlines."""
    memory = stored.model_copy(update={"deadlines": heard.deadlines, "files_due": heard.files_due})
    if not stored.merged:  # else what was heard of beyond that is the other conversation's
        memory.newest_seq = max(stored.newest_seq, heard.newest_seq)
    memory.delivery_due = heard.delivery_due or stored.standing.deliveries > 0
    deadlines = memory.deadlines
    deadlines.idle = min(deadlines.idle or now + limits.idle_end, now + limits.idle_end)
    stand(memory, stored.standing, limits, now)
    return memory


def stand(memory: Memory, standing: Standing, limits: Limits, now: datetime) -> None:
    """The conversation stands so. What has expired already is looked at again soon."""
    memory.standing = standing
    memory.state = standing.state
    memory.ticket_id = standing.tickets[-1] if standing.tickets else None
    left = standing.seconds_left
    memory.deadlines.expiry = None if left is None else now + max(timedelta(seconds=left), limits.turn_retry_pause)


def remember(memory: Memory, outcome: TurnOutcome, asked: int, told_of: int) -> None:
    """What a turn came to that was *asked* for after that number, and *told_of* messages up to the other one."""
    if outcome.cursor == asked:  # nothing waits, for what we were told of was erased meanwhile
        memory.newest_seq = memory.cursor if memory.newest_seq == told_of else memory.newest_seq
        return
    memory.cursor = max(memory.cursor, outcome.cursor)
    memory.newest_seq = max(memory.newest_seq, memory.cursor)
    memory.thread = outcome.thread or memory.thread
    memory.turns += 1
    memory.state = outcome.state if outcome.standing is None else memory.state
    memory.last_verdict = outcome.verdict or memory.last_verdict
    memory.ticket_id = (outcome.ticket_id if outcome.standing is None else None) or memory.ticket_id
    memory.delivery_due |= outcome.to_deliver


def may_stand_otherwise(memory: Memory, outcome: TurnOutcome) -> bool:
    """Whether the turn may have changed who has the conversation, or what is open, and does not say to what."""
    changed = outcome.verdict is Verdict.ACTION or outcome.state != memory.standing.state
    return outcome.standing is None and outcome.turn_id is not None and changed


def may_end(memory: Memory, limits: Limits, now: datetime) -> bool:
    """Whether the run may end as idle, by what was just read; else it is asked again after the same time."""
    if memory.merged or not _came(memory.deadlines.idle, now):  # it hands over first, or somebody wrote meanwhile
        return False
    waits = (
        memory.delivery_due or memory.files_due or work_waits(memory, gave_up=False) or memory.standing.keeps_the_run
    )
    memory.deadlines.idle = now + limits.idle_end if waits else None
    return not waits


def action_give_up(limits: Limits) -> timedelta:
    """An action is tried as often, and takes as long, as its definition says."""
    return limits.turn_give_up + (1 + MOST_RETRIES) * limits.action_timeout


def details(memory: Memory, *, busy: bool) -> str:
    """Where the conversation stands, in plain words, for Temporal's UI."""
    waiting = memory.newest_seq - memory.cursor
    lines = [
        f"**{_STATES[memory.state]}.** {'Answering now.' if busy else 'Quiet.'}",
        f"- Turns: {memory.turns}, messages waiting: {waiting}",
        f"- Last verdict: {memory.last_verdict or 'none yet'}",
    ]
    if memory.thread:
        lines.append(f"- Thread: `{memory.thread.frontend_context_uuid}`, answer `{memory.thread.backend_uuid}`")
    return "\n".join(lines)


def _may_answer(deadlines: Deadlines, now: datetime) -> bool:
    return _passed(deadlines.quiet, now) and _passed(deadlines.room, now)


def _passed(moment: datetime | None, now: datetime) -> bool:
    """Nothing is to be waited for (any more)."""
    return moment is None or moment <= now


def _came(moment: datetime | None, now: datetime) -> bool:
    """A moment that was set has come."""
    return moment is not None and moment <= now
