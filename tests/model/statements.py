"""What the core's statements are called in a trace, and where an actor stops because of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

BEGINS = "begin question"


@dataclass(frozen=True)
class Statement:
    """`writes`: there is a stop before and one after it; else only before. `of_part`: its name where it is about a
    reply's part, and not about an action."""

    name: str
    writes: bool = True
    of_part: str = ""


BY_MARKER: dict[str, Statement] = {
    "the commit of a step": Statement("commit"),
    "WITH waiting AS (": Statement("claim"),
    "), failed AS (": Statement("fail"),
    "claim_slot(": Statement(BEGINS),
    "SELECT * FROM effects WHERE key = :key FOR UPDATE": Statement("begin effect", of_part="begin part"),
    "AND :status = 'unknown')::int": Statement("settle effect", of_part="settle part"),
    "status = 'failed', failure = :failure": Statement("settle effect", of_part="settle part"),
    "CASE WHEN over THEN 'failed' ELSE 'planned' END, failure": Statement("release effect", of_part="part again"),
    "failure = 'abandoned'": Statement("give up effect"),
    "SET status = 'resulted'": Statement("resulted"),
    "SET status = 'cancelled', settled_at = agent_now() WHERE id = :action_id": Statement("withdraw"),
    "expire_question(": Statement("expire"),
    "), decided AS (": Statement("decide"),
    "tell_decision(": Statement("tell"),
    "INSERT INTO handoffs (conversation_id, effect_key": Statement("open handoff"),
    "INSERT INTO tickets": Statement("open ticket"),
    "), planned AS (": Statement("plan parts"),
    "withhold_message(": Statement("withhold"),
    "finish_message(": Statement("message done"),
    "give_up_message(": Statement("give up message"),
    "WITH added AS (\n    INSERT INTO messages": Statement("add message"),
    "FROM add_reply(": Statement("add staff's words"),
    "m.delivery = 'due'\n ORDER BY": Statement("read what is due", writes=False),
    "stopped_seq = newest_seq": Statement("stop"),
    "store_channel_messages(": Statement("store messages"),
    "record_statuses(": Statement("record statuses"),
    "WITH place AS MATERIALIZED (\n    SELECT going_on(": Statement("change owner"),
    "), resolved AS (\n    UPDATE tickets": Statement("resolve ticket"),
    "VALUES (:who, 'action.answered'": Statement("hand in"),
}


def statement_of(text: str, values: Mapping[str, Any] | None) -> Statement | None:
    """None: nobody stops for it."""
    statement = next((statement for marker, statement in BY_MARKER.items() if marker in text), None)
    if statement is not None and statement.of_part and str((values or {})["key"]).count("/") == 1:
        return replace(statement, name=statement.of_part)
    return statement
