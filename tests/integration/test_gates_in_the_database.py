"""The database changes an owner under its lock; here each of its cells is compared with the gates' table."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest

from actions.gates import GateResult, evaluate, evaluate_merge, rules_of
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.encoding import dump_json
from schemas.standing import Owner, Standing
from schemas.transitions import Event, Transition
from storage.standings import Standings
from tests.api.test_questions import ask
from tests.support.shop import output
from tests.system_in_process import System

OUTSIDE = (
    *(Event.TAKEN, Event.RELEASED, Event.CLOSED, Event.RESET, Event.HANDOFF, Event.ERASED),
    *(Event.TICKET_OPENED, Event.TICKET_RESOLVED),
)
"""Events whose row `change_owner` is handed."""
OPEN = list(product((0, 1), repeat=2))
"""How many questions to the customer and approvals are open."""


class Place:
    """A conversation that stands as a cell says, and what the database makes of it."""

    def __init__(self, system: System, conversation_id: UUID) -> None:
        self._database = system.database
        self._standings = Standings(system.database)
        self.id = conversation_id
        self._before = Standing()
        self._seen = 0

    async def stands(self, owner: Owner, questions: int, approvals: int) -> Standing:
        open_ones = [by for by, is_open in (("customer", questions), ("staff", approvals)) if is_open]
        await self._run("UPDATE conversations SET owner = :owner WHERE id = :id", owner=owner)
        await self._run(
            "UPDATE actions SET status = CASE WHEN confirmation_by = ANY(:open) THEN 'awaiting_confirmation'"
            " ELSE 'expired' END WHERE conversation_id = :id",
            open=open_ones,
        )
        self._before = await self._standings.of(self.id)
        self._seen = max((row.id for row in await self._all()), default=0)
        assert (self._before.owner, self._before.questions, self._before.approvals) == (owner, questions, approvals)
        return self._before

    async def happens(self, statement: str, **values: object) -> None:
        await self._run(statement, **values)

    async def agrees(self, gate: GateResult, why: Event, *, is_noted: bool = False) -> None:
        """It stands as the table says, and each change has its row under a reason that is a row of the table."""
        after = await self._standings.of(self.id)
        assert _compared(after) == _compared(gate.after), (why, self._before, gate)
        rows = [row for row in await self._all() if row.id > self._seen]
        dropped = (self._before.questions - after.questions) + (self._before.approvals - after.approvals)
        is_changed = (after.owner, after.version) != (self._before.owner, self._before.version)
        assert sorted(row.why for row in rows) == sorted(
            [Event.CANCELLED] * dropped + [why] * (is_changed or is_noted)
        ), (why, self._before)
        for row in (row for row in rows if row.why is Event.CANCELLED):
            assert row.from_owner is row.to_owner is after.owner
            assert evaluate(Event.CANCELLED, after).allowed

    async def _all(self) -> list[Transition]:
        return await self._standings.transitions(self.id, 1_000)

    async def _run(self, statement: str, **values: object) -> None:
        await self._database.rows(statement, {"id": self.id, **values})


def _compared(standing: Standing) -> tuple[object, ...]:
    return standing.owner, standing.version, standing.questions, standing.approvals


@pytest.fixture
async def place(system: System) -> Place:
    """With a question to the customer and one to staff, that are open or not as a cell says."""
    await ask(system, Confirmation.STAFF, "lamp")
    await ask(system, Confirmation.CUSTOMER, "chair")
    return Place(system, UUID((await system.session())["conversation_id"]))


async def test_change_owner_does_what_each_cell_says(place: Place) -> None:
    for event, owner, (questions, approvals) in product(OUTSIDE, Owner, OPEN):
        standing = await place.stands(owner, questions, approvals)
        rules = rules_of(event)

        await place.happens(
            "SELECT change_owner(:id, :event, CAST(:rules AS jsonb), 'Ann', '')", event=event, rules=dump_json(rules)
        )

        is_noted = bool(rules.get(owner, {}).get("note"))
        await place.agrees(evaluate(event, standing), event, is_noted=is_noted)


async def test_a_merge_does_what_each_cell_says(place: Place) -> None:
    for brings_person, owner, (questions, approvals) in product((False, True), Owner, OPEN):
        standing = await place.stands(owner, questions, approvals)

        await place.happens("SELECT own_after_merge(:id, :called)", called=brings_person)

        await place.agrees(evaluate_merge(standing, brings_person=brings_person), Event.MERGED)


async def test_the_merged_one_ends_under_the_same_version(system: System, place: Place) -> None:
    other = (await system.send("Hello", customer="c-2")).json()["conversation_id"]
    for owner in Owner:
        await place.happens("UPDATE conversations SET merged_into = NULL WHERE id = :id")
        standing = await place.stands(owner, 0, 0)
        await place.happens("UPDATE conversations SET merged_into = CAST(:other AS uuid) WHERE id = :id", other=other)

        await place.happens("SELECT move_open_work(:id)")

        await place.agrees(evaluate_merge(standing, goes_on=False), Event.MERGED)


async def test_a_second_question_takes_the_place_of_the_first(system: System) -> None:
    actions = AssistantActions(confirmations={"create_ticket": Confirmation.CUSTOMER}, unclear_answer="keep")
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    for subject in ("lamp", "chair"):
        system.perplexity.scripts.append(output("create_ticket", subject=subject, description="Broken"))
        await system.send(f"My {subject} broke")
    conversation_id = UUID((await system.session())["conversation_id"])
    standings = Standings(system.database)

    after = await standings.of(conversation_id)

    whys = sorted(row.why for row in await standings.transitions(conversation_id, 10))
    asked_twice = evaluate(Event.ASKED, evaluate(Event.ASKED, Standing()).after).after
    assert _compared(after) == _compared(asked_twice)
    assert whys == [Event.ASKED, Event.ASKED, Event.CANCELLED]
