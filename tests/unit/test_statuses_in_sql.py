"""A status or kind that a statement names is a member of its enum: a slip would match no row, and say nothing."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

import pytest

from integrations.channels.failures import SendFailureKind
from schemas.actions import ActionStatus
from schemas.deliveries import DeliveryState, MessageDelivery
from schemas.effects import EffectFailure, EffectStatus
from schemas.failures import ModelFailureKind
from schemas.messages import IdentityKind, MessageKind
from schemas.sessions import ThreadEnd
from schemas.turn_record import TurnFailure, TurnStatus
from storage.desk import TicketState
from storage.media import MediaState

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("storage/**/*.py"), *ROOT.glob("storage/**/*.sql")])

STATUSES: tuple[type[StrEnum], ...] = (TurnStatus, EffectStatus, ActionStatus, DeliveryState, TicketState, MediaState)
OTHER_KINDS = {*IdentityKind, "part", "TABLE"}
"""Of identities, of effects, and of what the schema consists of."""
FAILURES: tuple[type[StrEnum], ...] = (TurnFailure, ModelFailureKind, EffectFailure, SendFailureKind)
"""Of turns and attempts, of effects and parts."""
MEMBERS = {
    "delivery": {*MessageDelivery},
    "end_reason": {*ThreadEnd},
    "failure": {member for each in FAILURES for member in each},
    "kind": {*MessageKind} | OTHER_KINDS,
    "status": {member for each in STATUSES for member in each},
}
OF_ONE_TABLE = {"storage/media.py": {*MediaState}, "storage/desk.py": {*TicketState}}
"""Files whose every `status` is this one's."""

COMPARED = r"(?:=|<>|:=|(?:NOT )?IN|IS (?:NOT )?DISTINCT FROM)\s*\(?\s*((?:'\w*'(?:,\s*)?)+)"
CHOSEN = r"=\s*CASE\b((?:(?!\bEND\b).)*)\bEND"
RESULT = r"\b(?:THEN|ELSE)\s+'(\w*)'"


def named(column: str, sql: str) -> list[str]:
    """Each value that *sql* compares *column* with, or puts into it."""
    lists = re.findall(rf"(?<!\w){column}\s*{COMPARED}", sql, re.DOTALL)
    cases = re.findall(rf"(?<!\w){column}\s*{CHOSEN}", sql, re.DOTALL)
    return [word for each in lists for word in re.findall(r"'(\w*)'", each)] + [
        word for each in cases for word in re.findall(RESULT, each)
    ]


@pytest.mark.parametrize("column", MEMBERS)
def test_what_a_statement_names_is_a_member(column: str) -> None:
    found = [
        (str(source.relative_to(ROOT)), value) for source in SOURCES for value in named(column, source.read_text())
    ]

    assert [(path, value) for path, value in found if value not in members(path, column)] == []


def members(path: str, column: str) -> set[str]:
    return OF_ONE_TABLE.get(path, MEMBERS[column]) if column == "status" else MEMBERS[column]


@pytest.mark.parametrize("column", MEMBERS)
def test_statements_do_name_them(column: str) -> None:
    assert len({value for source in SOURCES for value in named(column, source.read_text())}) > 2


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("m.delivery = 'dew'", ["dew"]),
        ("delivery IS DISTINCT FROM 'due' OR delivery IN ('done', 'gone')", ["due", "done", "gone"]),
        ("SET delivery = CASE WHEN EXISTS (\n SELECT 1) THEN 'withheld' ELSE 'don' END", ["withheld", "don"]),
        ("needs_delivery = 'x'", []),
    ],
)
def test_a_value_is_seen(sql: str, values: list[str]) -> None:
    assert named("delivery", sql) == values
