"""Which messages are an answer to an open question: all since it was asked, all of one mind, by the channel's time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from actions.confirmation import cancel_payload, confirm_payload, interpret_all, pending_action
from actions.gates import Event
from schemas.actions import ActionRequest, AssistantActions, Confirmation, PendingConfirmation
from schemas.messages import WaitingMessage

ASKED = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ACCEPTED = ASKED + timedelta(seconds=2.6)
NOW = ASKED + timedelta(seconds=30)
REQUEST = ActionRequest(action="close_conversation", reason="Done.", metadata={})


def question(key: str = "c/7/0", accepted_at: datetime | None = ACCEPTED) -> PendingConfirmation:
    asked = pending_action(
        REQUEST, key=key, by=Confirmation.CUSTOMER, asked_at=ASKED, config=AssistantActions(), asked_seq=7
    )
    return asked.model_copy(update={"accepted_at": accepted_at})


def said(
    text: str = "", seq: int = 8, button: str | None = None, after_asked: float | None = 10, kind: str = "text"
) -> WaitingMessage:
    return WaitingMessage(
        id=uuid4(),
        seq=seq,
        kind=kind,
        text=text,
        choice_id=button,
        sent_at=None if after_asked is None else ASKED + timedelta(seconds=int(after_asked)),
        stored_at=NOW,
    )


def test_one_mind_counts() -> None:
    assert interpret_all(question(), [said("yes"), said("ok", 9)], NOW) is Event.CONFIRMED
    assert interpret_all(question(), [said("no"), said("cancel", 9)], NOW) is Event.DECLINED


@pytest.mark.parametrize(
    "words",
    [
        ("No wait, please do not cancel it!", "ok thanks"),
        ("what is the fee?", "yes"),
        ("yes", "what is the fee?"),
        ("yes", "no"),
        ("no", "yes"),
    ],
)
def test_a_yes_beside_anything_else_is_no_yes(words: tuple[str, str]) -> None:
    messages = [said(text, seq) for seq, text in enumerate(words, 8)]

    assert interpret_all(question(), messages, NOW) is Event.MESSAGE


def test_a_yes_written_before_the_question_could_be_read_is_no_yes() -> None:
    early = said("ok", after_asked=-30)
    same_second = said("yes", after_asked=2)

    assert interpret_all(question(), [early], NOW) is Event.MESSAGE
    assert interpret_all(question(), [same_second], NOW) is Event.MESSAGE
    assert interpret_all(question(), [said("yes", after_asked=3)], NOW) is Event.CONFIRMED
    assert interpret_all(question(), [early, said("yes", 9)], NOW) is Event.MESSAGE


def test_a_question_that_the_channel_has_not_taken_cannot_be_answered() -> None:
    unsent = question(accepted_at=datetime(9999, 12, 31, tzinfo=UTC))

    assert interpret_all(unsent, [said("yes")], NOW) is Event.MESSAGE
    assert interpret_all(unsent, [said("yes", after_asked=None)], NOW) is Event.MESSAGE


def test_where_no_channel_tells_the_time_the_order_of_arrival_counts() -> None:
    over_http = question(accepted_at=None)

    assert interpret_all(over_http, [said("yes", after_asked=None)], NOW) is Event.CONFIRMED
    assert interpret_all(over_http, [said("yes", seq=7, after_asked=None)], NOW) is Event.MESSAGE
    assert interpret_all(question(), [said("yes", after_asked=None)], NOW) is Event.CONFIRMED


def test_a_button_names_its_question_whatever_the_time() -> None:
    mine, older = question(), question("c/5/0")
    yes, no = said(button=confirm_payload(mine.digest), after_asked=0), said(button=cancel_payload(mine.digest))
    stale = said(button=confirm_payload(older.digest))

    assert interpret_all(mine, [yes], NOW) is Event.CONFIRMED
    assert interpret_all(mine, [yes, said("ok", 9)], NOW) is Event.CONFIRMED
    assert interpret_all(mine, [no], NOW) is Event.DECLINED
    assert interpret_all(mine, [stale], NOW) is None
    assert interpret_all(None, [stale], NOW) is None
    assert interpret_all(mine, [stale, said("yes", 9)], NOW) is Event.MESSAGE


@pytest.mark.parametrize(
    ("kind", "button"),
    [("button", "promo-2026-yes"), ("button", None), ("list", "row-7"), ("list", None), ("image", None)],
)
def test_only_words_that_were_written_are_a_yes_in_words(kind: str, button: str | None) -> None:
    """A template's quick reply, a row of a list, a caption: they may be titled like a yes."""
    mine = question()
    pressed = said("Yes", kind=kind, button=button)
    ours = said("Yes", seq=9, kind="button", button=confirm_payload(mine.digest))

    assert interpret_all(mine, [pressed], NOW) is Event.MESSAGE
    assert interpret_all(mine, [pressed, ours], NOW) is Event.MESSAGE
    assert interpret_all(mine, [ours], NOW) is Event.CONFIRMED


def test_after_other_words_only_the_button_is_a_yes() -> None:
    doubtful = question().model_copy(update={"said_otherwise": True})
    button = said(button=confirm_payload(doubtful.digest))

    assert interpret_all(doubtful, [said("yes")], NOW) is Event.MESSAGE
    assert interpret_all(doubtful, [button], NOW) is Event.CONFIRMED
    assert interpret_all(doubtful, [said("no")], NOW) is Event.DECLINED


def test_a_late_yes_is_told_and_a_late_remark_is_a_message() -> None:
    late = ASKED + timedelta(days=1)

    assert interpret_all(question(), [said("yes")], late) is Event.EXPIRED
    assert interpret_all(question(), [said("how are you?")], late) is Event.MESSAGE
