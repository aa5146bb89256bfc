"""A question that is not open any more: what is said of it follows what its action has come to."""

from __future__ import annotations

import pytest

from activities.turn_steps.decision import words_on
from schemas.actions import ActionStatus
from schemas.assistants import Texts
from schemas.effects import EffectStatus
from schemas.questions import AskedQuestion, CameTo

TEXTS = Texts()


def asked(
    status: str, decided_by: str | None = None, effect: str | None = None, failure: str | None = None
) -> AskedQuestion:
    return AskedQuestion.model_validate(
        {"digest": "a" * 64, "status": status, "decided_by": decided_by, "effect": effect, "failure": failure}
    )


@pytest.mark.parametrize(
    ("question", "came_to", "words"),
    [
        (asked("accepted", "customer", "confirmed"), CameTo.DONE, TEXTS.action_done),
        (asked("accepted", "Ann", "confirmed"), CameTo.DONE, TEXTS.action_done),
        (asked("accepted", "customer", "planned"), CameTo.UNDER_WAY, TEXTS.still_working),
        (asked("accepted", "customer", "sending"), CameTo.UNDER_WAY, TEXTS.still_working),
        (asked("accepted", "customer", "unknown"), CameTo.UNKNOWN, TEXTS.action_unknown),
        (asked("accepted", "customer", "failed", "failed"), CameTo.FAILED, TEXTS.action_failed),
        (asked("cancelled", "customer", "failed", "withheld"), CameTo.DROPPED, TEXTS.dropped),
        (asked("accepted", "customer", "failed", "withheld"), CameTo.DROPPED, TEXTS.dropped),
        (asked("cancelled", "customer"), CameTo.DECLINED, TEXTS.cancelled),
        (asked("cancelled", "Ann"), CameTo.DECLINED_BY_STAFF, TEXTS.declined),
        (asked("cancelled"), CameTo.DROPPED, TEXTS.dropped),
        (asked("expired"), CameTo.EXPIRED, TEXTS.expired),
        (asked("refused"), CameTo.REFUSED, TEXTS.refused),
        (asked("awaiting_confirmation"), CameTo.OPEN, None),
    ],
)
def test_the_words_follow_what_the_action_has_come_to(
    question: AskedQuestion, came_to: CameTo, words: str | None
) -> None:
    assert question.came_to is came_to
    assert words_on(question, TEXTS) == words


def test_every_status_has_its_end() -> None:
    questions = [asked("accepted", effect=status) for status in EffectStatus]
    questions += [asked(status) for status in ActionStatus]

    assert all(question.came_to in CameTo for question in questions)
