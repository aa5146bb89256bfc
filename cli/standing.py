"""Where a conversation stands, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pydantic import BaseModel

from cli.plain import plain
from schemas.sessions import OpenQuestion, PastThread, Session
from schemas.turns import Turn
from storage.overview import MessageRow


class ConversationSummary(BaseModel):
    """What `agent conversation show --json` prints."""

    session: Session
    threads: list[PastThread]
    last_turns: list[Turn]
    """Newest first."""
    last_messages: list[MessageRow]
    """Oldest first."""


def conversation_text(standing: ConversationSummary) -> str:
    """Several lines, with an end to the last one."""
    lines = [*_head(standing.session, standing.threads), *_turns(standing.last_turns), *_words(standing.last_messages)]
    return "".join(f"{line}\n" for line in lines)


def _head(session: Session, threads: list[PastThread]) -> Iterator[str]:
    turns = "1 turn" if session.turns == 1 else f"{session.turns} turns"
    yield f"{plain(session.customer_id)} on {session.channel}: {session.state}, {turns}"
    yield _line("assistant", session.assistant)
    yield _line("conversation", str(session.conversation_id))
    yield _line("workflow", session.workflow_id)
    yield _line("last message", _moment(session.last_message_at))
    yield _line("waiting", f"{session.waiting_messages} not answered" if session.waiting_messages else "nothing")
    yield from _threads(threads)
    yield _line("tickets", ", ".join(session.tickets) or "none")
    yield _line("handoff", _handoff(session))
    if session.held:
        yield _line("held", f"{session.held} messages that nobody has answered")
    for question in session.questions:
        yield from _question(question)


def _question(question: OpenQuestion) -> Iterator[str]:
    """What is asked, of whom, and why."""
    of_whom = "of staff" if question.kind == "approval" else "of the customer"
    yield _line("open question", f"{of_whom}, until {_moment(question.expires_at)}: {question.action}")
    yield from (_line("", line) for line in question.text.splitlines())
    yield _line("", f"Why: {question.reason}")


def _threads(threads: list[PastThread]) -> Iterator[str]:
    if not threads:
        yield _line("thread", "none yet")
    for thread in threads:
        yield _line(
            "old thread" if thread.ended_at else "thread", f"frontend_context_uuid {thread.frontend_context_uuid}"
        )
        yield _line("", f"backend_uuid {thread.backend_uuid}")
        yield _line("", f"account {thread.account_name}, slug {thread.thread_url_slug}, {thread.turns} answers")


def _handoff(session: Session) -> str:
    if session.handoff is None:
        return "none"
    handoff = session.handoff
    return f"{handoff.team}, since {_moment(handoff.since)}, by {handoff.opened_by}: {handoff.reason}"


def _turns(turns: list[Turn]) -> Iterator[str]:
    if turns:
        yield "last turns, newest first"
    for turn in turns:
        action = f", {turn.action.action} {turn.action.status}" if turn.action else ""
        came = turn.verdict or turn.status or "no output"
        yield f"  {_moment(turn.finished_at)}  {came}, {_asked(turn)}{action}, then {turn.state}"


def _asked(turn: Turn) -> str:
    """How long the model took, or how its tries failed."""
    if turn.timings.model_ms is not None:
        return f"{turn.timings.model_ms} ms"
    failures = [attempt.failure for attempt in turn.attempts if attempt.failure]
    if not failures:
        return "model not asked"
    return f"asked {len(failures)}×, failed ({', '.join(dict.fromkeys(failures))})"


def _words(messages: list[MessageRow]) -> Iterator[str]:
    if messages:
        yield "last words"
    for message in messages:
        author = "note for staff" if message.for_staff else message.author
        withheld = " (withheld)" if message.withheld else ""
        yield f"  {_moment(message.stored_at)}  {author}{withheld}: {plain(message.text) or '(nothing)'}"


def _line(name: str, value: str) -> str:
    return f"  {name:<14}{plain(value)}"


def _moment(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else "never"
