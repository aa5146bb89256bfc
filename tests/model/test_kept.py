"""Scripts that found something once, kept: each played against the core as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog

from integrations.whatsapp.port import ProviderLimits
from schemas.assistants import Texts
from tests.model import inside
from tests.model.configurations import Configured
from tests.model.customers import Said, write
from tests.model.drawing import Given, Meeting, To
from tests.model.events import DrawnEvent
from tests.model.happening import happen
from tests.model.machine import ConversationMachine
from tests.model.outside import ModelSays, Served, Taken
from tests.model.phases import Phase
from tests.model.stage import Stage, stage_at
from tests.model.stops import Place, Stopped


@pytest.fixture(scope="module")
def stage(postgres_url: str) -> Iterator[Stage]:
    with stage_at(postgres_url) as stage, structlog.testing.capture_logs():
        yield stage


@pytest.fixture
def state(stage: Stage) -> Iterator[ConversationMachine]:
    """Its last step is that everybody comes to rest, and all promises are judged."""
    state = machine_on(stage)
    state.begins(which=Configured.ALL)
    yield state
    state.teardown()


def machine_on(stage: Stage) -> ConversationMachine:
    made = {"make_world": staticmethod(stage.world)}
    machine: type[ConversationMachine] = type("Machine", (ConversationMachine,), made)
    return machine()


def test_of_what_may_have_left_before_a_take_over_staff_are_told(state: ConversationMachine) -> None:
    """The resend is withheld, and nobody knew of the first."""
    state.meets(meeting=Meeting(DrawnEvent.TAKE_OVER, Phase.TAKEN, taken=Taken.LOST_UNKNOWN, others=To.NEXT, rounds=1))


@pytest.mark.parametrize("then", [(), ((DrawnEvent.ZOMBIE, Phase.PLANS), (DrawnEvent.ERASE, Phase.PLANS))])
def test_no_part_is_planned_for_who_is_erased(
    state: ConversationMachine, then: tuple[tuple[DrawnEvent, Phase], ...]
) -> None:
    """An erasure between reading what is due and planning its parts left one that nobody would end."""
    first = DrawnEvent.MESSAGE if then else DrawnEvent.ERASE
    state.meets(meeting=Meeting(first, Phase.PLANS, said=(ModelSays.TEXT,), others=To.NEXT, rounds=1, then=then))


def test_who_waits_for_the_accounts_minute_is_told_once_and_answered(state: ConversationMachine) -> None:
    state.meets(meeting=Meeting(DrawnEvent.MINUTE_USED, Phase.CLAIMS, rounds=1))

    assert state.world.come_to_rest()
    told = [begun.text for begun in state.world.whatsapp.begun]
    assert [text == Texts().still_working for text in told] == [True, False]


def test_a_forgotten_thread_costs_the_customer_nothing(state: ConversationMachine) -> None:
    """The question fails twice as it must, upstream knows no such thread, and it is put in another."""
    state.meets(meeting=Meeting(DrawnEvent.TIME, Phase.LOOKS_UP, Given.FORGOTTEN, (ModelSays.TEXT,)))

    assert state.world.come_to_rest()
    assert [row["failed_twice"] for row in state.world.look(inside.LOST)] == [True]
    assert [asked.lost for asked in state.world.perplexity.asked] == [False, True, True, False]


def test_what_was_held_under_a_ticket_is_not_forgotten_when_it_is_held_no_more(state: ConversationMachine) -> None:
    """The assistant's configuration changes from holding to answering."""
    state.meets(meeting=Meeting(DrawnEvent.CONFIGURED, Phase.CLAIMS, Given.HELD_BY_TICKET))

    assert state.world.come_to_rest()
    assert [turn["status"] for turn in state.world.look(inside.TURNS)] == ["answered", "held", "answered"]


def test_what_is_about_to_be_held_when_the_ticket_ends_is_answered(stage: Stage) -> None:
    """The turn was claimed under the ticket, and nobody would have asked about it."""
    state = machine_on(stage)
    state.begins(which=Configured.HOLDS)
    state.meets(meeting=Meeting(DrawnEvent.RESOLVED, Phase.CLAIMED, Given.TICKET))
    state.teardown()


def test_a_lost_thread_and_an_answer_in_its_place_that_is_withheld_are_not_both_in_use(
    state: ConversationMachine,
) -> None:
    """Nothing goes on in the place of the lost one: the next turn finds the lost one, and looks again."""
    state.meets(meeting=Meeting(DrawnEvent.CLOSE, Phase.COMMITS, Given.FORGOTTEN))


def test_nothing_goes_on_in_a_new_thread_whose_answer_is_withheld(state: ConversationMachine) -> None:
    """Nor in one whose answer was of no use, and in whose place it is."""
    then = ((DrawnEvent.CLOSE, Phase.COMMITS),)
    state.meets(meeting=Meeting(DrawnEvent.MESSAGE, Phase.ASKS, Given.CALL))
    state.meets(meeting=Meeting(DrawnEvent.MESSAGE, Phase.LOOKS_UP, Given.FORGOTTEN, _NO_USE, rounds=1))
    state.meets(meeting=Meeting(DrawnEvent.MESSAGE, Phase.COMMITS, said=(ModelSays.HANDOFF,), rounds=1, then=then))


_NO_USE = (ModelSays.TEXT, ModelSays.TEXT, ModelSays.INVALID)


def test_what_two_conversations_owe_when_they_become_one_leaves_in_the_order_of_each(
    state: ConversationMachine,
) -> None:
    """Who sends in the one that goes on does not wait for an older reply that moves there meanwhile."""
    said = (ModelSays.ACCOUNT,)
    state.meets(meeting=Meeting(DrawnEvent.MERGED, Phase.SENDS, Given.OTHER, said, rounds=1))


def test_words_that_are_told_after_a_release_may_follow_younger_ones_that_stay_withheld(
    state: ConversationMachine,
) -> None:
    """Of a payment nobody knows the outcome; the message after it is asked about once more."""
    then = ((DrawnEvent.FILE, Phase.SENT), (DrawnEvent.TAKE_OVER, Phase.LOOKS_UP))
    said, unknown = (ModelSays.PAY, ModelSays.LOOK_UP), Served.NOT_DONE_UNKNOWN
    paid = Meeting(DrawnEvent.MESSAGE, Phase.COMMITS, Given.QUESTION, said, unknown, Taken.LOST_UNKNOWN, rounds=1)
    state.only_meetings = True
    state.meets(meeting=replace(paid, wrote="yes", then=then))
    state.meets(meeting=Meeting(DrawnEvent.MESSAGE, Phase.ANSWERED, rounds=1))


def test_that_a_failed_attempt_was_once_sent_says_nothing_of_the_one_in_its_place(state: ConversationMachine) -> None:
    """The channel told out of order; the reply counted as sent, and the customer never got it."""
    _fails_and_is_due_again(state)
    happen(state.world, DrawnEvent.SENT, 0, 0)

    assert state.world.come_to_rest()
    assert len(state.world.whatsapp.sent) == 2


def test_what_arrived_before_the_rest_of_it_is_withheld_is_done(state: ConversationMachine) -> None:
    """A person had the conversation for a moment; what the customer has read was called withheld."""
    _fails_and_is_due_again(state)
    for event in (DrawnEvent.TAKE_OVER, DrawnEvent.READ, DrawnEvent.RELEASE):
        happen(state.world, event, 0, 0)

    assert state.world.come_to_rest()
    assert [row["delivery"] for row in state.world.look(inside.MESSAGES) if row["direction"] == "out"] == ["done"]


def _fails_and_is_due_again(state: ConversationMachine) -> None:
    """A reply that the channel took, and says afterwards that it failed; its sender is about to send it again."""
    state.is_answered(customer=0, said=[ModelSays.TEXT], served=Served.DONE)
    happen(state.world, DrawnEvent.FAILED, 0, 0)
    _goes_on_to(state, Place.AFTER, "part again")


def test_a_decision_on_what_is_erased_under_it_does_nothing(state: ConversationMachine) -> None:
    """Staff approve, and before it is done the customer's words are erased: the action could not be read."""
    state.staff_decide(customer=0, asked=Given.APPROVAL, approved=True, rounds=0, meanwhile=[], again=False)
    _goes_on_to(state, Place.AFTER, "decide")
    happen(state.world, DrawnEvent.ERASE, 0, 0)


def _goes_on_to(state: ConversationMachine, place: Place, what: str, *said: ModelSays) -> None:
    there: list[Stopped] = []
    for _ in range(30):
        there = [each for actor in state.world.stops.actors for each in state.world.stops.of(actor)]
        if any((each.place, each.what) == (place, what) for each in there):
            return
        state.goes_on(who=0, to=To.NEXT, said=list(said), served=Served.DONE, taken=Taken.TAKEN)
    raise AssertionError(f"nobody came to {place} {what}; they are at {there}")


@pytest.mark.parametrize("back", [DrawnEvent.RELEASE, DrawnEvent.CLOSE])
def test_that_staff_have_still_to_agree_is_not_said_once_nobody_did(stage: Stage, back: DrawnEvent) -> None:
    """A person takes the conversation before the words leave, and gives it back after the time is over."""
    state = machine_on(stage)
    state.begins(which=Configured.APPROVALS)
    state.meets(meeting=Meeting(DrawnEvent.TAKE_OVER, Phase.PLANS, said=(ModelSays.TICKET,), others=To.NEXT, rounds=1))
    for event in (DrawnEvent.TIME,) * 8 + (back, DrawnEvent.RELEASE):
        state.happens(event=event, customer=0, which=0)
        assert state.world.come_to_rest()

    assert [posted.text for posted in state.world.whatsapp.sent][-1:] == [Texts().expired]
    assert len(state.world.perplexity.asked) == 1
    state.teardown()


def test_a_yes_whose_action_was_withdrawn_did_nothing(state: ConversationMachine) -> None:
    """A reset came before it began; its turn goes on with what the customer writes then, and the model is asked."""
    state.is_answered(customer=0, said=[ModelSays.CANCEL_ORDER], served=Served.DONE)
    happen(state.world, DrawnEvent.YES, 0, 0)
    _goes_on_to(state, Place.BEFORE, "begin effect")
    for event in (DrawnEvent.RESET, DrawnEvent.MESSAGE):
        happen(state.world, event, 0, 0)


@pytest.mark.parametrize("end", [DrawnEvent.DECLINED, DrawnEvent.APPROVED, DrawnEvent.TIME, DrawnEvent.RESET])
def test_that_staff_have_still_to_agree_is_not_said_again_after_its_end(stage: Stage, end: DrawnEvent) -> None:
    """It had left, a person takes the conversation, and after the end the channel says that it failed."""
    state = machine_on(stage)
    state.begins(which=Configured.APPROVALS)
    state.is_answered(customer=0, said=[ModelSays.TICKET], served=Served.DONE)
    ends = (end,) * 8 if end is DrawnEvent.TIME else (end,)
    for event in (DrawnEvent.TAKE_OVER, *ends, DrawnEvent.FAILED, DrawnEvent.RELEASE):
        state.happens(event=event, customer=0, which=0)
        assert state.world.come_to_rest()

    assert [posted.text for posted in state.world.whatsapp.sent].count(Texts().approval_asked) == 1
    state.teardown()


def test_a_question_is_not_put_again_behind_the_one_that_took_its_place(state: ConversationMachine) -> None:
    """The first fails late; the customer's yes is to what they read last."""
    for said in (ModelSays.PAY, ModelSays.CANCEL_ORDER, ModelSays.CANCEL_ORDER):
        state.is_answered(customer=0, said=[said], served=Served.DONE)
    happen(state.world, DrawnEvent.FAILED, 0, 1)
    assert state.world.come_to_rest()
    state.world.pass_time(2)
    happen(state.world, DrawnEvent.YES, 0, 0)


@pytest.mark.parametrize("end", [DrawnEvent.RESET, DrawnEvent.CLOSE, DrawnEvent.RELEASE, DrawnEvent.TAKE_OVER])
def test_a_question_that_has_ended_before_it_leaves_is_not_put(state: ConversationMachine, end: DrawnEvent) -> None:
    """What was done before it in the same turn is told."""
    said = (ModelSays.BOOK, ModelSays.CANCEL_ORDER)
    state.meets(meeting=Meeting(end, Phase.PLANS, said=said, others=To.NEXT, rounds=1))
    assert state.world.come_to_rest()
    happen(state.world, DrawnEvent.RELEASE, 0, 0)
    assert state.world.come_to_rest()
    assert [posted.text for posted in state.world.whatsapp.sent] == [Texts().action_done]


def test_what_was_done_before_an_approval_is_not_denied_when_nobody_decides(stage: Stage) -> None:
    state = machine_on(stage)
    state.begins(which=Configured.APPROVALS)
    state.is_answered(customer=0, said=[ModelSays.BOOK, ModelSays.TICKET], served=Served.DONE)
    state.teardown()


def test_a_turn_that_ends_in_words_of_ours_names_no_thread_that_was_never_asked_in(state: ConversationMachine) -> None:
    """After a reset its action's last words were to come from a new thread; it was closed before they were asked for,
    and the turn named that thread with an answer of the old one behind it."""
    then = ((DrawnEvent.CLOSE, Phase.SETTLED),)
    state.meets(meeting=Meeting(DrawnEvent.RESET, Phase.SETTLED, said=(ModelSays.BOOK,), rounds=2, then=then))

    assert state.world.come_to_rest()
    [turn] = state.world.look(inside.TURNS)
    assert turn["frontend_context_uuid"] in {row["frontend_context_uuid"] for row in state.world.look(inside.THREADS)}


@pytest.mark.parametrize("phase", [Phase.CALLS, Phase.CALLED, Phase.SETTLES])
def test_a_zombies_refusal_says_nothing_while_another_attempt_is_at_it(
    state: ConversationMachine, phase: Phase
) -> None:
    """The service refused its call, for it was just doing the other's; the customer read that nothing was changed."""
    refusal = {"late": ModelSays.PAY, "refused": Served.REFUSED, "served": Served.DONE}
    state.zombie_is_refused(phase=phase, **refusal, others=To.COMMIT, rounds=1)

    assert state.world.come_to_rest()
    assert [call.done for call in state.world.endpoints.calls].count(True) == 1


def test_what_was_claimed_before_it_moves_to_a_person_is_under_way(state: ConversationMachine) -> None:
    """Two customers turn out to be one, just when a reply to the second leaves; the first is a person's already."""
    state.is_answered(customer=0, said=[ModelSays.HANDOFF], served=Served.DONE)
    state.meets(meeting=Meeting(DrawnEvent.MERGED, Phase.SENDS, customer=1, others=To.NEXT, rounds=0))

    assert state.world.come_to_rest()
    assert [begun.text for begun in state.world.whatsapp.begun][-1] == "Answer 2."


def test_what_was_done_before_is_told_with_that_a_colleague_comes(state: ConversationMachine) -> None:
    """The judge took such words for an action's result that leaves under a human."""
    state.is_answered(customer=0, said=[ModelSays.BOOK, ModelSays.HANDOFF], served=Served.DONE)

    assert [posted.text for posted in state.world.whatsapp.sent] == [f"{Texts().action_done}\n\n{Texts().handed_over}"]


def test_staff_are_heard_once_also_after_a_merge(state: ConversationMachine) -> None:
    """The same call comes again, under its key, for the conversation that has become part of another since."""
    state.is_answered(customer=1, said=[ModelSays.TEXT], served=Served.DONE)
    for event in (DrawnEvent.STAFF_WRITES, DrawnEvent.MERGED, DrawnEvent.STAFF_AGAIN):
        happen(state.world, event, 1, 0)
        assert state.world.come_to_rest()

    assert [posted.text for posted in state.world.whatsapp.sent].count("Ann here 1.") == 1


@pytest.mark.parametrize("event", [DrawnEvent.EDITED, DrawnEvent.TAKEN_BACK])
def test_what_waits_is_asked_about_as_it_was_written_last(state: ConversationMachine, event: DrawnEvent) -> None:
    happen(state.world, event, 0, 0)

    assert state.world.come_to_rest()
    wanted = ["Changed 1."] if event is DrawnEvent.EDITED else []
    assert [asked.words for asked in state.world.perplexity.asked] == wanted


def test_a_button_beside_other_words_does_nothing_by_itself(state: ConversationMachine) -> None:
    state.is_answered(customer=0, said=[ModelSays.CANCEL_ORDER], served=Served.DONE)
    happen(state.world, DrawnEvent.BUTTON_BESIDE, 0, 0)

    assert state.world.come_to_rest()
    assert state.world.endpoints.calls == []


def test_a_question_of_several_parts_is_answered_by_its_button(stage: Stage) -> None:
    state = machine_on(stage)
    state.begins(which=Configured.ALL, narrow=True)
    state.is_answered(customer=0, said=[ModelSays.CANCEL_ORDER], served=Served.DONE)
    happen(state.world, DrawnEvent.BUTTON, 0, 0)

    assert state.world.come_to_rest()
    assert [call.endpoint for call in state.world.endpoints.calls] == ["cancel_order"]
    state.teardown()


# What a yes in words means


@pytest.fixture
def asked(stage: Stage) -> Iterator[ConversationMachine]:
    """A question is open, and other words leave it open."""
    state = machine_on(stage)
    state.begins(which=Configured.KEEPS_QUESTIONS)
    state.is_answered(customer=0, said=[ModelSays.CANCEL_ORDER], served=Served.DONE)
    state.world.pass_time(10)
    yield state
    state.teardown()


def test_a_yes_with_a_no_before_its_commit_does_nothing(asked: ConversationMachine) -> None:
    asked.meets(meeting=Meeting(DrawnEvent.NO, Phase.COMMITS, wrote="yes"))

    assert asked.world.come_to_rest()
    assert asked.world.endpoints.calls == []


def test_a_yes_with_a_no_just_after_its_commit_counts(asked: ConversationMachine) -> None:
    """In the same moment: the judge took it for one before."""
    asked.meets(meeting=Meeting(DrawnEvent.NO, Phase.COMMITTED, wrote="yes"))

    assert asked.world.come_to_rest()
    assert [call.endpoint for call in asked.world.endpoints.calls] == ["cancel_order"]


def test_a_zombies_yes_does_nothing_once_another_attempt_has_read_the_no(asked: ConversationMachine) -> None:
    happen(asked.world, DrawnEvent.YES, 0, 0)
    _goes_on_to(asked, Place.BEFORE, "commit")
    [zombie] = asked.world.stops.actors
    happen(asked.world, DrawnEvent.ZOMBIE, 0, 0, zombie)
    happen(asked.world, DrawnEvent.NO, 0, 0)
    asked.world.pass_time(5)
    for actor, to in ((1, To.CALL), (0, To.END)):
        asked.goes_on(who=actor, to=to, said=[], served=Served.DONE, taken=Taken.TAKEN)

    assert asked.world.come_to_rest()
    assert asked.world.endpoints.calls == []


@pytest.mark.parametrize("speaks", [DrawnEvent.STAFF_WRITES, DrawnEvent.NO])
def test_a_yes_after_other_words_of_ours_does_nothing(stage: Stage, speaks: DrawnEvent) -> None:
    """A person's; or our answer to a no that came while the question was made."""
    state = machine_on(stage)
    state.begins(which=Configured.ALL)
    said = (ModelSays.CANCEL_ORDER, ModelSays.TEXT)
    state.meets(meeting=Meeting(speaks, Phase.SENT if speaks is DrawnEvent.STAFF_WRITES else Phase.ANSWERED, said=said))
    assert state.world.come_to_rest()
    state.world.pass_time(10)
    happen(state.world, DrawnEvent.YES, 0, 0)
    state.teardown()
    assert state.world.endpoints.calls == []


def test_a_yes_to_a_part_of_a_question_does_nothing(state: ConversationMachine) -> None:
    """The channel took its words, and not those that stand above its buttons."""
    state.world.whatsapp.limits = ProviderLimits(text_units=4_096, button_text_units=20, buttons=3)
    _goes_on_to(state, Place.AFTER, "settle part", ModelSays.CANCEL_ORDER)
    state.goes_on(who=0, to=To.END, said=[], served=Served.DONE, taken=Taken.FINAL)
    assert state.world.come_to_rest()
    assert len(state.world.whatsapp.sent) == 1
    state.world.pass_time(10)
    happen(state.world, DrawnEvent.YES, 0, 0)

    assert state.world.come_to_rest()
    assert state.world.endpoints.calls == []


def test_what_was_written_at_the_moment_of_a_persons_word_waits_for_them(state: ConversationMachine) -> None:
    """They had not read it. To a microsecond it counted neither as answered nor as held."""
    write(state.world, 0, Said("Hello there"))
    happen(state.world, DrawnEvent.TAKE_OVER, 0, 0)
    write(state.world, 0, Said("At one moment"))
    happen(state.world, DrawnEvent.STAFF_WRITES, 0, 0)
    assert state.world.come_to_rest()
    state.world.look(AT_ONE_MOMENT)

    held = state.world.look("SELECT h.text FROM conversations c, held_messages(c.id) h ORDER BY h.seq")
    assert [row["text"] for row in held] == ["At one moment"]


AT_ONE_MOMENT = """
UPDATE messages SET stored_at = (SELECT stored_at FROM messages WHERE text = 'At one moment') WHERE author = 'agent'
RETURNING id
"""


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase not in (Phase.RESTS, Phase.LOOKS_UP)])
@pytest.mark.parametrize("given", [Given.NOTHING, Given.QUESTION])
def test_a_number_changes_hands_whoever_has_come_how_far(
    state: ConversationMachine, given: Given, phase: Phase
) -> None:
    """Nothing of the old owner reaches the new one, who says yes to what they were not asked."""
    said = (ModelSays.BOOK, ModelSays.TEXT)
    meeting = Meeting(DrawnEvent.NEW_NUMBER, phase, given, said, wrote="yes" if given is Given.QUESTION else "Hello")
    state.meets(meeting=meeting)


def test_a_number_changes_hands_between_two_parts(stage: Stage) -> None:
    state = machine_on(stage)
    state.begins(which=Configured.ALL, narrow=True)
    state.meets(meeting=Meeting(DrawnEvent.NEW_NUMBER, Phase.TAKEN, said=(ModelSays.TEXT,), others=To.NEXT, rounds=1))
    state.teardown()
    assert len({posted.request.recipient.phone for posted in state.world.whatsapp.sent}) == 2
