"""Each hole that is put back shows in a script made for it: the promises see it, once an example comes by.

How soon drawn examples come by, `make power` measures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.model.configurations import Configured
from tests.model.drawing import Meeting, To
from tests.model.events import OF_ACTORS, DrawnEvent
from tests.model.holes import HOLES, Hole, composed, put_back
from tests.model.machine import ConversationMachine
from tests.model.outside import ModelSays, Served, Taken
from tests.model.phases import Phase
from tests.model.stage import Stage, stage_at
from tests.model.statements import BY_MARKER

S = ConversationMachine
ALL = Configured.ALL


@pytest.fixture(scope="module")
def stage(postgres_url: str) -> Iterator[Stage]:
    with stage_at(postgres_url) as stage, structlog.testing.capture_logs():
        yield stage


def meets(state: S, event: DrawnEvent, phase: Phase, *said: ModelSays, rounds: int = 4, **more: Any) -> None:
    meeting = Meeting(event=event, phase=phase, said=said, rounds=rounds, **more)
    state.fails(meeting=meeting) if event in OF_ACTORS else state.meets(meeting=meeting)


def late(state: S, phase: Phase, brings: ModelSays, *said: ModelSays, others: To, rounds: int) -> None:
    values = {"phase": phase, "late": brings, "said": list(said), "served": Served.DONE}
    state.zombie_comes_late(**values, others=others, rounds=rounds)


def answered(state: S, *said: ModelSays, customer: int = 0) -> None:
    state.is_answered(customer=customer, said=list(said), served=Served.DONE)


def happens(state: S, *events: DrawnEvent, customer: int = 0, which: int = 0) -> None:
    for event in events:
        state.happens(event=event, customer=customer, which=which)


def ends(state: S, *said: ModelSays) -> None:
    """Whoever is at work, to the end."""
    answers = list(said)
    for _ in range(6):
        if state.world.stops.waiting:
            state.goes_on(who=0, to=To.END, said=answers, served=Served.DONE, taken=Taken.TAKEN)
            answers = answers[1:] or [ModelSays.TEXT]


def zombie_over_action(state: S) -> None:
    late(state, Phase.ANSWERED, ModelSays.TEXT, ModelSays.BOOK, others=To.COMMIT, rounds=2)


def silent_channel(state: S) -> None:
    state.channel_has_trouble(taken=Taken.LOST_UNKNOWN)


def no_and_yes(state: S) -> None:
    answered(state, ModelSays.CANCEL_ORDER)
    happens(state, DrawnEvent.BURST)


def yes_before(state: S) -> None:
    answered(state, ModelSays.CANCEL_ORDER)
    happens(state, DrawnEvent.LATE_YES)


def second_handoff(state: S) -> None:
    answered(state, ModelSays.HANDOFF)
    happens(state, DrawnEvent.RELEASE)
    ends(state)
    answered(state, ModelSays.HANDOFF)


def repaired(state: S) -> None:
    answered(state, ModelSays.LOOK_UP, ModelSays.INVALID, ModelSays.TICKET)


def apology_after(state: S) -> None:
    answered(state, ModelSays.BOOK, ModelSays.ACCOUNT)


def configured_meanwhile(state: S) -> None:
    meets(state, DrawnEvent.CONFIGURED, Phase.COMMITTED, ModelSays.BOOK)


def status_first(state: S) -> None:
    meets(state, DrawnEvent.FAILED_FOR_GOOD, Phase.TAKEN, ModelSays.TEXT)


def customers_are_one(state: S) -> None:
    answered(state, ModelSays.TEXT, customer=1)
    happens(state, DrawnEvent.MERGED)


def answer_is_lost(state: S) -> None:
    meets(state, DrawnEvent.BREAKS, Phase.COMMITTED, ModelSays.TEXT)


def account_is_full(state: S) -> None:
    happens(state, DrawnEvent.MESSAGE, customer=1)
    meets(state, DrawnEvent.HANGS, Phase.ASKS, ModelSays.TEXT)


def nobody_approves(state: S) -> None:
    answered(state, ModelSays.TICKET)


def old_button(state: S) -> None:
    answered(state, ModelSays.CANCEL_ORDER)
    answered(state, ModelSays.CANCEL_ORDER)
    happens(state, DrawnEvent.OLD_BUTTON)


def action_first(state: S) -> None:
    answered(state, ModelSays.TICKET)


def dies_after_commit(state: S) -> None:
    meets(state, DrawnEvent.KILLED, Phase.COMMITTED, ModelSays.INVALID)
    answered(state, ModelSays.TEXT)


def zombie_looks(state: S) -> None:
    late(state, Phase.ANSWERED, ModelSays.TEXT, ModelSays.INVALID, others=To.CALL, rounds=3)


def taken_before_it_leaves(state: S) -> None:
    meets(state, DrawnEvent.TAKE_OVER, Phase.PLANS, ModelSays.TEXT)


def taken_before_the_answer(state: S) -> None:
    meets(state, DrawnEvent.TAKE_OVER, Phase.COMMITS, ModelSays.TEXT)


def refused_while_another_does_it(state: S) -> None:
    refusal = {"late": ModelSays.PAY, "refused": Served.REFUSED, "served": Served.DONE}
    state.zombie_is_refused(phase=Phase.CALLS, **refusal, others=To.COMMIT, rounds=1)


def number_is_a_strangers(state: S) -> None:
    happens(state, DrawnEvent.NEW_NUMBER)


def number_changes_before_it_leaves(state: S) -> None:
    meets(state, DrawnEvent.NEW_NUMBER, Phase.PLANS, ModelSays.TEXT)


@dataclass(frozen=True)
class Script:
    """*breaks*: what the judge says with the hole. *at_once*: no message has to be answered before."""

    plays: Callable[[S], None]
    breaks: str
    configured: Configured = ALL
    at_once: bool = True


YES = "a_yes_is_this_questions"
THREADS = "threads_are_continuous"
SOMEBODY_ELSE = "who_has_a_number_now_is_somebody_else"
UNDER_A_HUMAN = "nothing_of_the_bot_leaves_under_a_human"

SCRIPTS: dict[int, Script] = {
    1: Script(zombie_over_action, THREADS),
    2: Script(silent_channel, "parts_are_sent_once"),
    3: Script(no_and_yes, YES, at_once=False),
    4: Script(yes_before, YES, at_once=False),
    5: Script(second_handoff, "A owes a human without a handoff", at_once=False),
    6: Script(repaired, "a defect: .* UniqueViolationError actions"),
    7: Script(apology_after, "nothing_done_is_denied"),
    8: Script(configured_meanwhile, "it never comes to rest"),
    10: Script(status_first, "deliveries_and_channel_agree"),
    11: Script(customers_are_one, "one_customer_has_one_conversation"),
    12: Script(answer_is_lost, "a defect: .* UniqueViolationError raw_outputs"),
    13: Script(account_is_full, "nobody_is_apologised_to_unasked"),
    14: Script(nobody_approves, "A is owed a word on what expired", Configured.APPROVALS),
    15: Script(old_button, YES, at_once=False),
    16: Script(action_first, THREADS),
    17: Script(dies_after_commit, THREADS, Configured.NO_REPAIRS),
    18: Script(zombie_looks, "A owes more questions of unknown outcome than were put"),
    101: Script(taken_before_it_leaves, UNDER_A_HUMAN),
    102: Script(taken_before_the_answer, UNDER_A_HUMAN),
    103: Script(refused_while_another_does_it, "nothing_done_is_denied"),
    104: Script(number_is_a_strangers, SOMEBODY_ELSE),
    105: Script(number_changes_before_it_leaves, SOMEBODY_ELSE),
}


def played(stage: Stage, number: int, hole: Hole | None = None) -> None:
    """The script of that number, with *hole* or without any."""
    composes: dict[str, Any] = {} if hole is None else {"composes": partial(composed, hole)}
    machine: type[S] = type("Machine", (S,), {"make_world": staticmethod(lambda: stage.world(**composes))})
    state = machine()
    try:
        state.begins(which=SCRIPTS[number].configured)
        ends(state) if not SCRIPTS[number].at_once else None
        SCRIPTS[number].plays(state)
    finally:
        state.teardown()


def test_each_hole_has_a_script() -> None:
    assert {hole.number for hole in HOLES} == SCRIPTS.keys()


def test_each_named_statement_is_in_the_core() -> None:
    """Else nobody would stop there any more."""
    storage = "\n".join(each.read_text() for each in (Path(__file__).parents[2] / "storage").rglob("*.py"))

    assert [marker for marker in BY_MARKER if marker not in storage] == []


@pytest.mark.parametrize("number", SCRIPTS)
def test_a_hole_breaks_its_promise(stage: Stage, number: int) -> None:
    """And each text that it takes out is in the core: else it would put nothing back."""
    hole = next(hole for hole in HOLES if hole.number == number)

    broken = pytest.raises(AssertionError, match=f"Broken:[^—]*{SCRIPTS[number].breaks}")
    with put_back(hole, stage), broken:
        played(stage, number, hole)

    assert stage.database.rewritten == set(hole.rewrites)


@pytest.mark.parametrize("number", SCRIPTS)
def test_without_the_hole_all_promises_are_kept(stage: Stage, number: int) -> None:
    played(stage, number)
