"""What is due, by the deadlines of a conversation: every duty by itself, and which of them go on beside each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from schemas.actions import MOST_RETRIES
from schemas.conversations import Deadlines, Limits, TurnOutcome, WorkflowState
from schemas.standing import Owner, Standing
from schemas.turns import State, Verdict
from tests.support.clock import NOW
from workflows import policy
from workflows.policy import Duty

SOON, PAST = NOW + timedelta(seconds=5), NOW - timedelta(seconds=5)
LIMITS = Limits(quiet=timedelta(seconds=2), quiet_cap=timedelta(seconds=8))
ANYBODY = [Standing(owner=Owner.HUMAN), Standing(questions=1), Standing(approvals=1), Standing(tickets=("T-1",))]


def due(current: WorkflowState, *under_way: Duty, **known: bool) -> tuple[Duty, ...]:
    return policy.due(current, NOW, under_way, **{"stale": False, "gave_up": False, "full": False, **known})


def waiting(**deadlines: Any) -> WorkflowState:
    return WorkflowState(newest_seq=1, deadlines=Deadlines(**deadlines))


def test_nothing_is_due_where_nothing_happened() -> None:
    assert due(WorkflowState(deadlines=Deadlines(idle=SOON))) == ()


def test_a_message_is_answered_at_once() -> None:
    assert due(waiting()) == (Duty.ANSWER,)


@pytest.mark.parametrize("kind", ["quiet", "room"])
def test_a_message_waits_for_the_window_and_for_room(kind: str) -> None:
    assert due(waiting(**{kind: SOON})) == ()
    assert due(waiting(**{kind: PAST})) == (Duty.ANSWER,)


def test_after_giving_up_nothing_is_asked_before_the_next_wake_up() -> None:
    assert due(waiting(), gave_up=True) == ()


def test_a_reply_goes_out_beside_the_answer_and_what_expires() -> None:
    current = WorkflowState(newest_seq=1, delivery_due=True, deadlines=Deadlines(expiry=PAST))

    assert due(current) == (Duty.EXPIRE, Duty.DELIVER, Duty.ANSWER)
    assert due(current, Duty.DELIVER) == (Duty.EXPIRE, Duty.ANSWER)
    assert due(current, Duty.ANSWER, Duty.EXPIRE) == (Duty.DELIVER,)


def test_a_delivery_that_was_given_up_is_tried_anew_after_its_pause() -> None:
    assert due(WorkflowState(delivery_due=True, deadlines=Deadlines(delivery=SOON))) == ()
    assert due(WorkflowState(delivery_due=True, deadlines=Deadlines(delivery=PAST))) == (Duty.DELIVER,)


def test_what_somebody_changed_is_read_before_anything_else_is_begun() -> None:
    current = WorkflowState(newest_seq=1, delivery_due=True)

    assert due(current, stale=True) == (Duty.LOAD,)
    assert due(current, Duty.DELIVER, stale=True) == (Duty.LOAD,)
    assert due(current, Duty.LOAD, stale=True) == ()


def test_a_full_run_begins_nothing_but_for_as_long_as_a_delivery_keeps_it() -> None:
    current = WorkflowState(newest_seq=1, delivery_due=True, deadlines=Deadlines(expiry=PAST, idle=PAST))

    assert due(current, full=True) == due(current, Duty.ANSWER, full=True) == ()
    assert due(current, Duty.EXPIRE, full=True, stale=True) == ()
    assert due(current, Duty.DELIVER, full=True) == (Duty.EXPIRE, Duty.ANSWER)
    assert due(current, Duty.DELIVER, full=True, stale=True) == (Duty.LOAD,)


def test_an_idle_run_looks_whether_it_may_end_once_nothing_is_under_way() -> None:
    idle = WorkflowState(deadlines=Deadlines(idle=PAST))

    assert due(idle) == (Duty.END,)
    assert due(idle, Duty.DELIVER) == ()
    assert due(waiting(idle=PAST)) == (Duty.ANSWER,)


@pytest.mark.parametrize("standing", [*ANYBODY, Standing(deliveries=1)])
def test_nobody_who_waits_for_something_is_left(standing: Standing) -> None:
    current = WorkflowState(standing=standing, deadlines=Deadlines(idle=PAST))

    assert not policy.may_end(current, LIMITS, NOW)
    assert current.deadlines.idle == NOW + LIMITS.idle_end


def test_a_run_ends_that_nobody_needs() -> None:
    assert policy.may_end(WorkflowState(deadlines=Deadlines(idle=PAST)), LIMITS, NOW)


def test_a_message_of_the_last_moment_keeps_the_run() -> None:
    assert not policy.may_end(waiting(idle=PAST), LIMITS, NOW)
    assert not policy.may_end(WorkflowState(deadlines=Deadlines(idle=SOON)), LIMITS, NOW)


def test_the_earliest_deadline_is_the_next() -> None:
    current = WorkflowState(newest_seq=1, deadlines=Deadlines(room=SOON, expiry=NOW + timedelta(hours=1), idle=PAST))

    assert policy.next_deadline(current, NOW, gave_up=False) == SOON
    assert policy.next_deadline(current, NOW, gave_up=True) == NOW + timedelta(hours=1)


def test_the_window_moves_with_each_message_up_to_its_cap() -> None:
    current = WorkflowState()
    for second in range(0, 12, 1):
        policy.hear(current, LIMITS, second + 1, NOW + timedelta(seconds=second))

    assert current.deadlines.quiet == NOW + LIMITS.quiet_cap


def test_a_turn_opens_a_new_window() -> None:
    current = waiting(quiet=PAST, quiet_cap=PAST, room=PAST)

    policy.begin_turn(current.deadlines)
    policy.hear(current, LIMITS, 2, NOW)

    assert current.deadlines.quiet == NOW + LIMITS.quiet
    assert current.deadlines.room is None


def test_reading_again_keeps_what_only_the_run_knows() -> None:
    heard = WorkflowState(newest_seq=9, delivery_due=True, deadlines=Deadlines(room=SOON, idle=SOON, expiry=PAST))
    stored = WorkflowState(cursor=4, newest_seq=7, standing=Standing(approvals=1, seconds_left=5))

    current = policy.with_stored(heard, stored, LIMITS, NOW)

    assert (current.cursor, current.newest_seq, current.delivery_due) == (4, 9, True)
    assert current.deadlines == Deadlines(room=SOON, idle=SOON, expiry=SOON)


def test_reading_twice_is_as_reading_once() -> None:
    stored = WorkflowState(cursor=4, newest_seq=7, standing=Standing(questions=1, seconds_left=5, tickets=("T-1",)))

    once = policy.with_stored(WorkflowState(), stored, LIMITS, NOW)

    assert policy.with_stored(once, stored, LIMITS, NOW) == once


def test_a_shorter_limit_holds_from_now() -> None:
    later = WorkflowState(deadlines=Deadlines(idle=NOW + timedelta(days=9)))

    assert policy.with_stored(later, WorkflowState(), LIMITS, NOW).deadlines.idle == NOW + LIMITS.idle_end


def test_what_the_database_does_not_take_for_expired_is_looked_at_again_soon() -> None:
    current = WorkflowState()

    policy.apply_standing(current, Standing(questions=1, seconds_left=-5), LIMITS, NOW)

    assert current.deadlines.expiry == NOW + LIMITS.turn_retry_pause


@pytest.mark.parametrize(("owner", "room"), [(Owner.BOT, SOON), (Owner.HUMAN, None), (Owner.CLOSED, None)])
def test_where_nothing_is_asked_nobody_waits_for_room(owner: Owner, room: Any) -> None:
    current = WorkflowState(deadlines=Deadlines(room=SOON))
    policy.apply_standing(current, Standing(owner=owner), LIMITS, NOW)

    assert current.deadlines.room == room


def test_the_newest_open_ticket_is_shown_and_none_once_all_are_resolved() -> None:
    current = WorkflowState()

    policy.apply_standing(current, Standing(tickets=("T-1", "T-2")), LIMITS, NOW)
    two = current.ticket_id
    policy.apply_standing(current, Standing(), LIMITS, NOW)

    assert (two, current.ticket_id) == ("T-2", None)


def test_a_turn_that_was_read_before_it_was_reported_loses_no_later_message() -> None:
    current = WorkflowState(cursor=5, newest_seq=6)  # read while the turn was under way

    policy.apply_outcome(current, TurnOutcome(cursor=5, turn_id=uuid4()), asked=4, signalled_seq=6)

    assert (current.cursor, current.newest_seq) == (5, 6)


def test_what_was_erased_meanwhile_waits_no_more() -> None:
    current = WorkflowState(cursor=4, newest_seq=6)

    policy.apply_outcome(current, TurnOutcome(cursor=4), asked=4, signalled_seq=6)

    assert current.newest_seq == 4


@pytest.mark.parametrize(
    ("outcome", "unknown"),
    [
        (TurnOutcome(cursor=1, verdict=Verdict.TEXT), False),
        (TurnOutcome(cursor=1, verdict=Verdict.ACTION), True),
        (TurnOutcome(cursor=1, verdict=Verdict.TEXT, state=State.CLOSED), True),
        (TurnOutcome(cursor=1, verdict=Verdict.ACTION, standing=Standing()), False),
    ],
)
def test_what_a_turn_may_have_changed_is_read_unless_it_says_so(outcome: TurnOutcome, unknown: bool) -> None:
    outcome.turn_id = uuid4()

    assert policy.may_stand_otherwise(WorkflowState(), outcome) is unknown


def test_an_action_is_tried_for_as_long_as_any_definition_may_say() -> None:
    limits = Limits(turn_give_up=timedelta(hours=1), action_timeout=timedelta(minutes=11))

    assert policy.action_give_up(limits) > (1 + MOST_RETRIES) * timedelta(minutes=10)


def test_files_are_fetched_beside_everything_else_and_never_twice_at_once() -> None:
    current = WorkflowState(newest_seq=1, delivery_due=True, files_due=True)

    assert due(current) == (Duty.DELIVER, Duty.FETCH, Duty.ANSWER)
    assert due(current, Duty.FETCH) == (Duty.DELIVER, Duty.ANSWER)
    assert due(current, Duty.FETCH, Duty.DELIVER, full=True) == (Duty.ANSWER,)


def test_a_full_run_begins_no_fetching_that_would_keep_it() -> None:
    assert due(WorkflowState(files_due=True), Duty.DELIVER, full=True) == ()


def test_files_that_came_are_heard_of_and_kept_when_the_memory_is_read_again() -> None:
    current = WorkflowState()

    policy.hear(current, LIMITS, 1, NOW, files=True)
    policy.hear(current, LIMITS, 2, NOW)

    assert policy.with_stored(current, WorkflowState(newest_seq=2), LIMITS, NOW).files_due
    assert not policy.may_end(WorkflowState(files_due=True, deadlines=Deadlines(idle=PAST)), LIMITS, NOW)


def merged(**facts: Any) -> WorkflowState:
    """In which all would be due, were it not merged."""
    deadlines = Deadlines(expiry=PAST, idle=PAST)
    return WorkflowState(merged=True, files_due=True, deadlines=deadlines, **facts)


def test_a_merged_conversation_hands_over_and_does_nothing_else() -> None:
    assert due(merged()) == (Duty.HAND_OVER,)
    assert due(merged(delivery_due=True), full=True) == (Duty.HAND_OVER,)
    assert due(merged(), Duty.HAND_OVER, stale=True) == ()
    assert due(merged(), handed_over=True) == ()


def test_a_merged_conversation_ends_the_turn_whose_effect_is_under_way_first() -> None:
    assert due(merged(newest_seq=1)) == (Duty.ANSWER,)
    assert due(merged(newest_seq=1), Duty.ANSWER) == due(merged(), Duty.ANSWER) == ()
    assert due(merged(newest_seq=1), gave_up=True) == (Duty.HAND_OVER,)


def test_a_merged_conversation_waits_for_no_channel() -> None:
    assert due(merged(), Duty.DELIVER, Duty.FETCH) == (Duty.HAND_OVER,)


def test_a_merged_conversation_that_is_woken_hands_over_once_more() -> None:
    assert due(merged(delivery_due=True), handed_over=True) == (Duty.HAND_OVER,)
    assert due(merged(), handed_over=True, stale=True) == (Duty.LOAD,)


def test_a_merged_conversation_has_no_deadline_of_its_own_and_no_idle_end() -> None:
    later = WorkflowState(merged=True, delivery_due=True, deadlines=Deadlines(expiry=SOON, idle=SOON, delivery=SOON))

    assert policy.next_deadline(later, NOW, gave_up=False) is None
    assert not policy.may_end(merged(), LIMITS, NOW)


def test_what_a_merged_conversation_was_told_of_is_the_other_ones() -> None:
    current = policy.with_stored(
        WorkflowState(newest_seq=9), WorkflowState(merged=True, cursor=4, newest_seq=5), LIMITS, NOW
    )
    policy.hear(current, LIMITS, 9, NOW, files=True)

    assert (current.newest_seq, current.files_due) == (5, False)
