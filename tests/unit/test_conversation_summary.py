"""`agent conversation show`: every open question with what is asked and why, and how each turn went."""

from __future__ import annotations

from typing import Any, Literal
from uuid import uuid4

import pytest

from cli.standing import ConversationSummary, conversation_text
from schemas.sessions import OpenQuestion, Session, SessionThread
from schemas.standing import Owner
from schemas.turn_record import TurnStatus
from schemas.turns import Attempt, State, Timings, Turn, Verdict
from storage.overview import MessageRow
from tests.support.clock import NOW


def question(kind: Literal["confirmation", "approval"], what: str) -> OpenQuestion:
    text = f"Shall I open a ticket?\n• Subject: {what}"
    return OpenQuestion(
        id=uuid4(), kind=kind, action="create_ticket", text=text, reason=f"About {what}", expires_at=NOW, digest="d"
    )


def turn(**values: Any) -> Turn:
    return Turn(turn_id=uuid4(), conversation_id=uuid4(), message_id="m", state=State.BOT, finished_at=NOW, **values)


def told(*questions: OpenQuestion, turns: tuple[Turn, ...] = (), messages: tuple[MessageRow, ...] = ()) -> str:
    session = Session(
        customer_id="c-1",
        channel="http",
        conversation_id=uuid4(),
        workflow_id="w",
        owner=Owner.BOT,
        state=State.BOT,
        thread=SessionThread(),
        questions=list(questions),
    )
    return conversation_text(
        ConversationSummary(session=session, threads=[], last_turns=list(turns), last_messages=list(messages))
    )


def test_every_open_question_is_told_with_what_is_asked_and_why() -> None:
    text = told(question("approval", "lamp"), question("confirmation", "chair"))

    for what in ("lamp", "chair"):
        assert f"• Subject: {what}\n" in text
        assert f"Why: About {what}\n" in text
    assert text.count("create_ticket") == 2
    assert ("of staff" in text, "of the customer" in text) == (True, True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"verdict": Verdict.TEXT, "timings": Timings(model_ms=7)}, "text, 7 ms, then bot"),
        ({"status": TurnStatus.HELD}, "held, model not asked, then bot"),
        (
            {
                "status": TurnStatus.APOLOGISED,
                "attempts": [Attempt(raw_output_id=uuid4(), failure=each) for each in ("cut", "cut", "silent")],
            },
            "apologised, asked 3×, failed (cut, silent), then bot",
        ),
    ],
)
def test_a_turn_says_how_it_went(values: dict[str, Any], said: str) -> None:
    assert said in told(turns=(turn(**values),))


def test_a_note_is_no_word_of_the_assistant() -> None:
    said = MessageRow(direction="out", author="assistant", text="It has expired.", stored_at=NOW)
    note = MessageRow(direction="event", author="assistant", text="Nobody approved.", stored_at=NOW, for_staff=True)

    text = told(messages=(said, note))

    assert "assistant: It has expired.\n" in text
    assert "note for staff: Nobody approved.\n" in text


def test_what_did_not_leave_is_not_shown_as_said() -> None:
    withheld = MessageRow(direction="out", author="assistant", text="We are open.", stored_at=NOW, withheld=True)

    assert "assistant (withheld): We are open.\n" in told(messages=(withheld,))
