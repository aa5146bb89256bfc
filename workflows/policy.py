"""Pure decisions of a conversation: when its run is over, what failed, what operators are told."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas.conversations import Limits, Memory
from schemas.turns import State

SETTABLE_STATES = frozenset({State.BOT, State.HUMAN_HANDOFF, State.CLOSED})
"""The others follow from what is open."""

_STATES = {
    State.BOT: "The bot answers",
    State.AWAITING_CONFIRMATION: "Waiting for a confirmation",
    State.HUMAN_HANDOFF: "A human has the conversation; the bot keeps quiet",
    State.TICKET_OPEN: "A ticket is open",
    State.CLOSED: "Closed; the next message opens it again",
}


def run_is_full(limits: Limits, turns_in_run: int, events: int, *, suggested: bool) -> bool:
    """Whether to continue as new before the history gets heavy."""
    return suggested or turns_in_run >= limits.continue_as_new_turns or events >= limits.continue_as_new_events


def time_until_idle(limits: Limits, last_heard: datetime, now: datetime) -> timedelta:
    """How long until the conversation counts as idle; zero or less: it is."""
    return last_heard + limits.idle_end - now


def time_until_quiet(limits: Limits, begun: datetime, last_heard: datetime, now: datetime) -> timedelta:
    """How long until the customer has been quiet long enough, or waited for long enough; zero or less: now."""
    return min(last_heard + limits.quiet, begun + limits.quiet_cap) - now


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
