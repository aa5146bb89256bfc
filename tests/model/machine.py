"""What an example may draw: what happens at which moment, what the outside then does, and who goes on how far.

Every rule takes plain values, so a failing example reads as a script, and can be kept as one. `who` and `which` count
among what there is at that moment, and begin again from the first where they are larger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from schemas.transitions import Event as Change
from tests.model import customers, staff
from tests.model.configurations import Configured
from tests.model.drawing import (
    ANSWERS_A_QUESTION,
    AT_FRONT_DOORS,
    BESIDE_A_DECISION,
    CALLS,
    CUSTOMER,
    DOOR_STOPS,
    GIVES_BACK,
    HOLDING,
    OF_EFFECTS,
    OUTER,
    SAID,
    SERVED,
    TAKEN,
    WHILE_ASKED,
    WHILE_HELD,
    WHO,
    Given,
    Meeting,
    Profile,
    To,
    meetings,
)
from tests.model.events import OF_ACTORS, DrawnEvent
from tests.model.happening import happen
from tests.model.inside import LIVE, OPEN_QUESTIONS, OPEN_TICKETS, STATES
from tests.model.invariants import PROMISES, Promise, at_each_moment, at_the_end
from tests.model.outside import ModelSays, Served, Taken
from tests.model.phases import Phase, phase_of
from tests.model.stops import Actor, Place
from tests.model.world import World

T = TypeVar("T")

_MOST = 60
"""Stops on the way to where an actor is to go."""
_ROUNDS = 4
_HANGING_ROUNDS, _HANGING_SECONDS = 6, 6
"""Less in all than an account's slot is kept for."""
_RETRY_SECONDS = 2
"""After which the attempt that follows a lost one begins."""
_MOST_SECONDS = 20
"""While nobody is at work."""
_TROUBLE_SECONDS = 60
_ALL_EXPIRES = 8_000
"""Seconds after which no question and no approval is open any more."""
_TOLD = 60
"""Lines of the trace that a failure shows."""


IN_ALL = True


def step(in_all: bool = False, /, **drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule, after which the promises hold that hold at each moment. *in_all* examples, for half of them are made of
    meetings only."""

    def decorate(does: Callable[..., None]) -> Any:
        @wraps(does)
        def judged(machine: ConversationMachine, **values: Any) -> None:
            does(machine, **values)
            _judge(machine.world, at_each_moment(machine.world))

        drawn_by: Any = rule  # its overloads are for single strategies
        made = drawn_by(**drawn)(judged)
        return made if in_all else precondition(lambda machine: not machine.only_meetings)(made)

    return decorate


class ConversationMachine(RuleBasedStateMachine):
    """`make_world` is set by whoever runs it."""

    make_world: Callable[[], World]
    promises: Sequence[Promise] = PROMISES

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make_world()
        self.profile = Profile.ANYTHING
        self.only_meetings = False

    @initialize(
        which=st.sampled_from(Configured),
        profile=st.sampled_from(Profile),
        only_meetings=st.booleans(),
        narrow=st.sampled_from([False, False, False, True]),
    )
    def begins(
        self,
        which: Configured,
        profile: Profile = Profile.ANYTHING,
        only_meetings: bool = False,
        narrow: bool = False,
    ) -> None:
        self.profile, self.only_meetings = profile, only_meetings
        if narrow:
            self.world.narrow()
        if which is not Configured.ALL:
            staff.configure(self.world, which)
        self._writes(0)

    @step(event=st.sampled_from(OUTER), customer=CUSTOMER, which=WHO)
    def happens(self, event: DrawnEvent, customer: int, which: int) -> None:
        """Something happens now, wherever everybody is."""
        happen(self.world, event, customer, which)

    @step(IN_ALL, meeting=meetings(OUTER))
    def meets(self, meeting: Meeting) -> None:
        """Something from outside happens just when somebody has come so far."""
        self._meets(meeting)

    @step(IN_ALL, meeting=meetings(sorted(OF_ACTORS)))
    def fails(self, meeting: Meeting) -> None:
        """It happens to whoever has come so far."""
        self._meets(meeting)

    @step(
        phase=st.sampled_from([Phase.CLAIMED, Phase.ASKS, Phase.ANSWERED, Phase.COMMITS]),
        late=st.sampled_from([ModelSays.TEXT, ModelSays.TEXT, *ModelSays]),
        said=SAID,
        served=SERVED,
        others=st.sampled_from([To.COMMIT, To.CALL, To.NEXT]),
        rounds=st.integers(1, _ROUNDS),
    )
    def zombie_comes_late(
        self, phase: Phase, late: ModelSays, said: list[ModelSays], served: Served, others: To, rounds: int
    ) -> None:
        """An attempt is taken for dead, others follow and come so far, then it brings what the model said to it."""
        self._comes_late(phase, [late], served, said, served, others, rounds)

    @step(
        IN_ALL,
        phase=st.sampled_from(OF_EFFECTS),
        late=st.sampled_from([ModelSays.PAY, *CALLS]),
        refused=st.sampled_from([Served.REFUSED, Served.REFUSED, *Served]),
        served=SERVED,
        others=st.sampled_from([To.COMMIT, To.COMMIT, To.CALL, To.NEXT]),
        rounds=st.integers(1, _ROUNDS),
    )
    def zombie_is_refused(
        self, phase: Phase, late: ModelSays, refused: Served, served: Served, others: To, rounds: int
    ) -> None:
        """As `zombie_comes_late`, behind an action: a service does one thing for its call, another for the others'."""
        self._comes_late(phase, [late], refused, [], served, others, rounds)

    @step(customer=CUSTOMER, said=SAID, served=SERVED)
    def is_answered(self, customer: int, said: list[ModelSays], served: Served) -> None:
        """A whole turn: the customer writes, and all that follows comes to its end."""
        self._turn(customer, said, served)

    @step(
        customer=CUSTOMER,
        questions=st.sampled_from([1, 1, 2]),
        meanwhile=st.sampled_from(WHILE_ASKED),
        event=st.sampled_from(ANSWERS_A_QUESTION),
    )
    def question_is_answered(
        self, customer: int, event: DrawnEvent, questions: int = 1, meanwhile: DrawnEvent | None = None
    ) -> None:
        """The model asks for what needs a yes; the customer is asked, and then something comes."""
        for _ in range(questions):
            self._turn(customer, [ModelSays.CANCEL_ORDER])
        for each in (meanwhile, event):
            if each is not None:
                happen(self.world, each, customer, 0)

    @step(
        customer=CUSTOMER,
        called=st.booleans(),
        meanwhile=st.lists(st.sampled_from(WHILE_HELD), min_size=1, max_size=3),
        back=st.sampled_from(GIVES_BACK),
        said=SAID,
    )
    def a_person_has_it(
        self, customer: int, called: bool, meanwhile: list[DrawnEvent], back: DrawnEvent, said: list[ModelSays]
    ) -> None:
        """A person is *called* by the model, or takes the conversation; gives it back; then the customer writes."""
        self._turn(customer, [ModelSays.HANDOFF] if called else [ModelSays.TEXT])
        if not called:
            happen(self.world, DrawnEvent.TAKE_OVER, customer, 0)
        for event in meanwhile:
            happen(self.world, event, customer, 0)
            self._plays([])
        happen(self.world, back, customer, 0)
        self._plays(said)
        self._turn(customer, said)

    @step(
        customer=CUSTOMER,
        asked=st.sampled_from([Given.APPROVAL, Given.CALL]),
        approved=st.booleans(),
        rounds=st.integers(0, _ROUNDS),
        meanwhile=st.lists(st.sampled_from(BESIDE_A_DECISION), min_size=0, max_size=2),
        again=st.booleans(),
    )
    def staff_decide(
        self, customer: int, asked: Given, approved: bool, rounds: int, meanwhile: list[DrawnEvent], again: bool
    ) -> None:
        """An action waits for staff; they decide, and before that is done others change the conversation."""
        self._given(asked, customer)
        happen(self.world, DrawnEvent.APPROVED if approved else DrawnEvent.DECLINED, customer, 0)
        for _ in range(rounds):
            for actor in self.world.stops.actors:
                self._goes_on(actor, To.COMMIT, iter(()), Served.DONE, Taken.TAKEN)
        for event in (*meanwhile, *([DrawnEvent.DECIDED_AGAIN] if again else [])):
            happen(self.world, event, customer, 0)

    @step(
        customer=CUSTOMER,
        events=st.tuples(st.sampled_from(AT_FRONT_DOORS), st.sampled_from(AT_FRONT_DOORS)),
        order=st.lists(st.integers(0, 2), min_size=1, max_size=DOOR_STOPS),
        ends=st.sampled_from([None, None, None, DrawnEvent.KILLED]),
    )
    def two_come_at_once(
        self, customer: int, events: tuple[DrawnEvent, DrawnEvent], order: list[int], ends: DrawnEvent | None = None
    ) -> None:
        """Two API processes have something to do at the same time, statement by statement, beside who is at work; the
        second may die where it is, and what it had stored is found without it."""
        with self.world.front_doors() as doors:
            for event in events:
                happen(self.world, event, customer, 0)
        for n in order:
            others = [actor for actor in self.world.stops.actors if actor not in doors]
            actor = doors[n] if n < len(doors) else _nth(others, n) if others else None
            if actor is not None:
                self._goes_on(actor, To.NEXT, iter(()), Served.DONE, Taken.TAKEN)
        if ends is not None and _has_stored(self.world, doors[-1:]):
            self.world.kill(doors[-1])
        for door in doors:
            self._goes_on(door, To.END, iter(()), Served.DONE, Taken.TAKEN)

    @precondition(lambda self: self.world.stops.waiting)
    @step(who=WHO, to=st.sampled_from(To), said=SAID, served=SERVED, taken=TAKEN)
    def goes_on(self, who: int, to: To, said: list[ModelSays], served: Served, taken: Taken) -> None:
        """Where it meets the outside on its way, that does as drawn."""
        self._goes_on(_nth(self.world.stops.actors, who), to, iter(said), served, taken)

    @precondition(lambda self: self.world.stops.waiting)
    @step(taken=st.sampled_from([Taken.TAKEN_UNKNOWN, Taken.LOST_UNKNOWN, Taken.BUSY]))
    def channel_has_trouble(self, taken: Taken) -> None:
        """For some minutes, whatever is sent."""
        for _ in range(2 * _ROUNDS):
            for actor in self.world.stops.actors:
                self._goes_on(actor, To.END, iter(()), Served.DONE, taken)
            self.world.pass_time(_TROUBLE_SECONDS)
            self.world.sweep()

    def teardown(self) -> None:
        """Everybody does what they must, also what they do only once questions expire; then all promises hold."""
        try:
            self._see()
            rests = self.world.come_to_rest()
            self._see()
            if rests and self.world.look(OPEN_QUESTIONS):
                self.world.pass_time(_ALL_EXPIRES)
                self.world.sweep()
                rests = self.world.come_to_rest()
            unrest = ["it never comes to rest", *self.world.unrest()]
            _judge(self.world, at_the_end(self.world, self.promises) if rests else unrest)
        finally:
            self.world.end()

    def _see(self) -> None:
        self.world.states.update(row["state"] for row in self.world.look(STATES))

    # On the way

    def _meets(self, meeting: Meeting) -> None:
        self._given(meeting.given, meeting.customer)
        self._writes(meeting.customer, meeting.wrote, file=meeting.phase is Phase.FETCHES)
        says = iter(meeting.said)
        there = self._until(meeting.phase, says, meeting.served, meeting.taken)
        if there is None and meeting.event in OF_ACTORS:
            return
        happen(self.world, meeting.event, meeting.customer, 0, there)
        hangs = meeting.event is DrawnEvent.HANGS
        for _ in range(_HANGING_ROUNDS if hangs else meeting.rounds):
            for other in [actor for actor in self.world.stops.actors if actor is not there]:
                self._goes_on(other, meeting.others, says, meeting.served, meeting.taken)
            self.world.pass_time(_HANGING_SECONDS if hangs else _RETRY_SECONDS)
        for event, phase in meeting.then:
            there = self._until(phase, says, meeting.served, meeting.taken) or there
            happen(self.world, event, meeting.customer, 0, there)
        if there is not None:
            self._goes_on(there, To.END, says, meeting.served_late, meeting.taken)

    def _comes_late(
        self,
        phase: Phase,
        late: Sequence[ModelSays],
        served_late: Served,
        said: Sequence[ModelSays],
        served: Served,
        others: To,
        rounds: int,
    ) -> None:
        """*late* and *served_late* are what the zombie meets, *said* and *served* what those do who follow it."""
        if not self.world.stops.waiting:
            self._writes(0)
        lates, says = iter(late), iter(said)
        there = self._until(phase, lates, served_late, Taken.TAKEN)
        if there is None:
            return
        happen(self.world, DrawnEvent.ZOMBIE, 0, 0, there)
        for _ in range(rounds):
            self.world.pass_time(_RETRY_SECONDS)
            for other in [actor for actor in self.world.stops.actors if actor is not there]:
                self._goes_on(other, others, says, served, Taken.TAKEN)
        self._goes_on(there, To.END, lates, served_late, Taken.TAKEN)

    def _given(self, given: Given, customer: int) -> None:
        """Makes it so; in an example of meetings only, each begins with the bot, where nothing else is given."""
        if self.only_meetings and given not in HOLDING:
            self._give_back()
        if given in (Given.APPROVAL, Given.CALL, Given.DECIDED) and self.world.configured is not Configured.APPROVALS:
            staff.configure(self.world, Configured.APPROVALS)
        if given is Given.OTHER:
            self._writes(1 - customer)
        elif given is Given.HELD_BY_TICKET:
            staff.configure(self.world, Configured.HOLDS)
        elif given in _OTHERS_USE:
            happen(self.world, _OTHERS_USE[given], customer, 0)
        elif self.world.configured in _LACKING.get(given, ()):
            staff.configure(self.world, Configured.ALL)
        for said in _SAYS.get(given, []):
            self._turn(customer, [said])
        for event in _THEN.get(given, []):
            happen(self.world, event, customer, 0)
            self._plays([])

    def _give_back(self) -> None:
        """What people have, they release; what a ticket holds is held no more."""
        if self.world.configured is Configured.HOLDS and self.world.look(OPEN_TICKETS):
            staff.configure(self.world, Configured.ALL)
        taken = {row["id"] for row in self.world.look(LIVE) if row["owner"] == "human"}
        for run in [run for run in self.world.runs.values() if run.conversation_id in taken]:
            staff.change(self.world, run, Change.RELEASED)
            self._plays([])

    def _writes(self, customer: int, words: str = "Hello", *, file: bool = False) -> None:
        customers.write(self.world, customer, customers.Said(words, file=file))

    def _turn(self, customer: int, said: Sequence[ModelSays], served: Served = Served.DONE) -> None:
        self._writes(customer)
        self._plays(said, served)

    def _plays(self, said: Sequence[ModelSays], served: Served = Served.DONE) -> None:
        """Until everybody rests."""
        says = iter(said)
        for _ in range(_MOST):
            if self.world.stops.waiting:
                self._goes_on(self.world.stops.actors[0], To.END, says, served, Taken.TAKEN)
            elif all(run.rests for run in self.world.runs.values()):
                return
            else:
                self.world.pass_until_next(_MOST_SECONDS)

    def _until(self, phase: Phase, says: Any, served: Served, taken: Taken) -> Actor | None:
        """The actor that has come so far; None if nobody does."""
        for _ in range(_MOST):
            for stopped in self.world.stops.waiting:
                if phase_of(stopped) is phase:
                    return stopped.actor
            if self.world.stops.waiting:
                self._goes_on(self.world.stops.actors[0], To.NEXT, says, served, taken)
            elif all(run.rests for run in self.world.runs.values()):
                return None
            else:
                self.world.pass_until_next(_MOST_SECONDS)
        return None

    def _goes_on(self, actor: Actor, to: To, says: Any, served: Served, taken: Taken) -> None:
        outside: dict[Place, Callable[[], object]] = {
            Place.ASK: lambda: next(says, ModelSays.TEXT),
            Place.CALL: lambda: served,
            Place.FETCH: lambda: served,
            Place.LOOK_UP: lambda: served,
            Place.SEND: lambda: taken,
        }
        for n in range(_MOST):
            waiting = self.world.stops.of(actor)
            if not waiting or (n and to is To.COMMIT and phase_of(waiting[0]) in _COMMITS):
                return
            if n and to is To.CALL and waiting[0].place in outside:
                return
            self.world.release(waiting[0], outside.get(waiting[0].place, _nothing)())
            if to is To.NEXT:
                return


_SAYS: dict[Given, list[ModelSays]] = {
    Given.REPLY: [ModelSays.TEXT],
    Given.QUESTION: [ModelSays.CANCEL_ORDER],
    Given.QUESTIONS: [ModelSays.CANCEL_ORDER, ModelSays.CANCEL_ORDER],
    Given.APPROVAL: [ModelSays.TICKET],
    Given.CALL: [ModelSays.HANDOFF],
    Given.DECIDED: [ModelSays.TICKET],
    Given.TICKET: [ModelSays.TICKET],
    Given.FORGOTTEN: [ModelSays.TEXT],
    Given.HELD_BY_TICKET: [ModelSays.TICKET],
    Given.HUMAN: [ModelSays.TEXT],
    Given.HELD: [ModelSays.TEXT],
    Given.CLOSED: [ModelSays.TEXT],
}
_LACKING = {
    **dict.fromkeys((Given.QUESTION, Given.QUESTIONS), (Configured.NO_ENDPOINTS,)),
    Given.TICKET: (Configured.APPROVALS,),
}
"""Configurations under which it does not come to be."""
_THEN: dict[Given, list[DrawnEvent]] = {
    Given.FORGOTTEN: [DrawnEvent.FORGOTTEN],
    Given.HELD_BY_TICKET: [DrawnEvent.MESSAGE],
    Given.DECIDED: [DrawnEvent.APPROVED],
    Given.HUMAN: [DrawnEvent.TAKE_OVER],
    Given.HELD: [DrawnEvent.TAKE_OVER, DrawnEvent.MESSAGE],
    Given.CLOSED: [DrawnEvent.CLOSE],
}
_OTHERS_USE = {Given.FULL: DrawnEvent.ACCOUNT_FULL, Given.MINUTE: DrawnEvent.MINUTE_USED}
_COMMITS = {Phase.COMMITS, Phase.COMMITTED, Phase.SETTLES, Phase.SETTLED}


def _has_stored(world: World, doors: Sequence[Actor]) -> bool:
    """A message, of which nobody is told yet."""
    return any(
        (each.place, each.what) == (Place.AFTER, "store messages") for door in doors for each in world.stops.of(door)
    )


def _nothing() -> None:
    return None


def _nth(there: Sequence[T], n: int) -> T:
    return there[n % len(there)]


def _judge(world: World, broken: list[str]) -> None:
    if broken:
        world.broken = world.broken or broken
        told = world.stops.trace[-_TOLD:]
        raise AssertionError("\n".join(["Broken:", *broken, "What happened last:", *told]))
