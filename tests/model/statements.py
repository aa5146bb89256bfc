"""What the core's statements are called in a trace, and where an actor stops because of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """`writes`: there is a stop before and one after it; else only before."""

    name: str
    writes: bool = True


_BY_MARKER: dict[str, Statement] = {
    "commit_id = :commit_id": Statement("commit"),
    "WITH waiting AS (": Statement("claim"),
    "WITH failed AS (": Statement("fail"),
    "begin_question(": Statement("begin question"),
    "FOR UPDATE OF e": Statement("begin effect"),
    "CAST(:goes_back AS boolean)": Statement("settle effect"),
    "UPDATE effects SET status = 'planned'": Statement("release effect"),
    "WITH decided AS (": Statement("decide"),
    "'action', CAST(:action_id AS text), :words": Statement("tell"),
    "INSERT INTO handoffs (conversation_id, effect_key": Statement("open handoff"),
    "INSERT INTO tickets": Statement("open ticket"),
    "WITH planned AS (": Statement("plan parts"),
    "UPDATE deliveries SET status = 'sending'": Statement("begin part"),
    "WITH sent AS (": Statement("part sent"),
    "unknown_sends = unknown_sends +": Statement("part not sent"),
    "SET status = 'planned', channel_message_id = NULL": Statement("part again"),
    "WITH parts AS (": Statement("give up message"),
    "UPDATE messages SET delivery = 'done' WHERE id = :message_id": Statement("message done"),
    "WITH added AS (\n    INSERT INTO messages": Statement("add message"),
    "m.delivery = 'due'\n ORDER BY": Statement("read what is due", writes=False),
    "'conversation.reset'": Statement("reset"),
    "jsonb_build_object('state', CAST(:state AS text))\n     WHERE": Statement("set state"),
    "stopped_seq = last_seq": Statement("stop"),
}


def statement_of(text: str) -> Statement | None:
    """None: nobody stops for it."""
    return next((statement for marker, statement in _BY_MARKER.items() if marker in text), None)
