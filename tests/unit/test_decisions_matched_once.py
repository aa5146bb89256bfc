"""What a turn's step decides is told apart in one place, and all else reads what that makes of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args
from uuid import uuid4

import pytest

from schemas.actions import ActionRequest, ActionStatus, Confirmation
from schemas.standing import Owner
from schemas.transitions import Event
from schemas.turn_decisions import (
    AskConfirmation,
    ClosedQuestion,
    GiveReply,
    Hold,
    Move,
    NotBegun,
    PerformAction,
    PerformConfirmed,
    PlannedAction,
    Repair,
    TurnDecision,
)
from schemas.turn_record import TurnStatus
from storage.turn_commits import end_of
from tests.support import clock

ROOT = Path(__file__).parents[2]
PLACE = "storage/turn_commits.py"
DECISIONS = [each.__name__ for each in get_args(TurnDecision)]
SOURCES = sorted(path for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0] not in ("tests", ".venv"))

MOVE, DROPPED = Move(Event.HANDOFF, Owner.HUMAN), ClosedQuestion(uuid4(), Event.DECLINED)
ACTION = PlannedAction(
    uuid4(), 0, ActionRequest(action="api_call", reason="r", metadata={}), "digest", "hash", "key", side_effect=True
)
MOVED, CLOSED = (Event.HANDOFF, "assistant"), (Event.DECLINED, "customer")
EXAMPLES: list[tuple[TurnDecision, TurnStatus, list[tuple[Event, str]]]] = [
    (GiveReply("Words", MOVE, closed=DROPPED), TurnStatus.ANSWERED, [MOVED, CLOSED]),
    (Hold(), TurnStatus.HELD, []),
    (Repair(Move(Event.MESSAGE, Owner.BOT)), TurnStatus.INVALID, [(Event.MESSAGE, "customer")]),
    (PerformAction(ACTION, "endpoint", DROPPED, MOVE), TurnStatus.ACTING, [MOVED, CLOSED]),
    (PerformConfirmed(uuid4(), 1, "endpoint", in_words=True), TurnStatus.ACTING, [(Event.CONFIRMED, "customer")]),
    (
        AskConfirmation("May I?", ACTION, Confirmation.STAFF, clock.now() + timedelta(hours=1), closed=DROPPED),
        TurnStatus.ANSWERED,
        [CLOSED, (Event.APPROVAL_ASKED, "assistant")],
    ),
    (NotBegun(), TurnStatus.WITHHELD, []),
]


def told_apart(source: str) -> Iterator[str]:
    """Each decision that *source* asks for: by `isinstance`, by its type, or in a `match`."""
    for node in ast.walk(ast.parse(source)):
        is_asked = isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass")
        if is_asked or isinstance(node, ast.Compare | ast.MatchClass):
            asked = node.cls if isinstance(node, ast.MatchClass) else node
            yield from (name.id for name in ast.walk(asked) if isinstance(name, ast.Name) and name.id in DECISIONS)


def test_decisions_are_told_apart_in_one_place() -> None:
    found = {str(path.relative_to(ROOT)): sorted(told_apart(path.read_text())) for path in SOURCES}

    assert len(found) > 200
    assert {path: names for path, names in found.items() if names} == {PLACE: sorted(DECISIONS)}


@pytest.mark.parametrize(
    "source",
    [
        "if isinstance(decision, Hold | Repair): pass",
        "if isinstance(decision, (turn.Other, Hold)): pass",
        "if type(decision) is Hold: pass",
        "match decision:\n    case Hold(why=why): pass",
        "match decision:\n    case Repair() | Hold(): pass",
    ],
)
def test_a_place_that_does_is_seen(source: str) -> None:
    assert "Hold" in set(told_apart(source))


def test_each_decision_has_its_example() -> None:
    assert [type(decision).__name__ for decision, _, _ in EXAMPLES] == DECISIONS


@pytest.mark.parametrize(("decision", "status", "transitions"), EXAMPLES, ids=DECISIONS)
def test_what_a_decision_comes_to(
    decision: TurnDecision, status: TurnStatus, transitions: list[tuple[Event, str]]
) -> None:
    end = end_of(decision)

    assert (end.status, list(end.transitions)) == (status, transitions)
    assert end.finishes == (status not in (TurnStatus.INVALID, TurnStatus.ACTING))
    assert end.is_silent == (status in (TurnStatus.HELD, TurnStatus.WITHHELD))


@pytest.mark.parametrize(
    ("why", "status"),
    [
        (Event.DECLINED, ActionStatus.CANCELLED),
        (Event.CANCELLED, ActionStatus.CANCELLED),
        (Event.EXPIRED, ActionStatus.EXPIRED),
        (Event.REFUSED, ActionStatus.REFUSED),
    ],
)
def test_what_a_closed_question_leaves_of_its_action(why: Event, status: ActionStatus) -> None:
    assert ClosedQuestion(uuid4(), why).status is status
