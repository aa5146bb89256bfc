"""What an example may draw: what happens at which moment, what the outside then does, and who goes on how far.

Every rule takes plain values, so a failing example reads as a script, and can be kept as one. `who` and `which` count
among what there is at that moment, and begin again from the first where they are larger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.model.configurations import Configured
from tests.model.events import OF_ACTORS, Event
from tests.model.happening import happen
from tests.model.inside import OPEN_QUESTIONS
from tests.model.invariants import at_each_moment, at_the_end
from tests.model.outside import Said, Served, Taken
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
_TROUBLE_SECONDS = 60
_ALL_EXPIRES = 8_000
"""Seconds after which no question and no approval is open any more."""
_TOLD = 60
"""Lines of the trace that a failure shows."""


class To(StrEnum):
    """How far an actor goes on."""

    NEXT = "the next stop"
    COMMIT = "a commit"
    CALL = "a call"
    END = "its end"


_WHO = st.integers(0, 3)
_CUSTOMER = st.sampled_from([0, 0, 0, 1])
_ACTIONS = [Said.BOOK, Said.PAY, Said.CANCEL_ORDER, Said.TICKET, Said.HANDOFF, Said.LOOK_UP]
_SAID = st.lists(st.sampled_from([*Said, *_ACTIONS, *_ACTIONS]), min_size=1, max_size=3)
_SERVED = st.sampled_from([Served.DONE, Served.DONE, Served.DONE, *Served])
_TAKEN = st.sampled_from([Taken.TAKEN, Taken.TAKEN, Taken.TAKEN, *Taken])
_EVENTS = st.sampled_from([*Event, *[event for event in Event if event in OF_ACTORS]])
_TO_A_QUESTION = [Event.YES, Event.NO, Event.BURST, Event.LATE_YES, Event.BUTTON, Event.OLD_BUTTON]
_PHASES = st.sampled_from([phase for phase in Phase if phase is not Phase.RESTS])


def step(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule, after which the promises hold that hold at each moment."""

    def decorate(does: Callable[..., None]) -> Any:
        @wraps(does)
        def judged(machine: ConversationMachine, **values: Any) -> None:
            does(machine, **values)
            _judge(machine.world, at_each_moment(machine.world))

        drawn_by: Any = rule  # its overloads are for single strategies
        return drawn_by(**drawn)(judged)

    return decorate


class ConversationMachine(RuleBasedStateMachine):
    """`make_world` is set by whoever runs it."""

    make_world: Callable[[], World]

    def __init__(self) -> None:
        super().__init__()
        self.world = type(self).make_world()

    @initialize(which=st.sampled_from(Configured))
    def begins(self, which: Configured) -> None:
        if which is not Configured.ALL:
            self.world.configure(which)
        self.world.write(0, "Hello")

    @step(event=st.sampled_from([event for event in Event if event not in OF_ACTORS]), customer=_CUSTOMER, which=_WHO)
    def happens(self, event: Event, customer: int, which: int) -> None:
        """Something happens now, wherever everybody is."""
        happen(self.world, event, customer, which)

    @step(
        customer=_CUSTOMER,
        event=_EVENTS,
        phase=_PHASES,
        said=_SAID,
        served=_SERVED,
        taken=_TAKEN,
        others=st.sampled_from(To),
        rounds=st.integers(1, _ROUNDS),
    )
    def meets(
        self,
        customer: int,
        event: Event,
        phase: Phase,
        said: list[Said],
        served: Served,
        taken: Taken,
        others: To,
        rounds: int,
    ) -> None:
        """Something happens just when somebody has come so far. Then the others go on for some rounds, then they."""
        if not self.world.stops.waiting:
            self.world.write(customer, "Hello")
        says = iter(said)
        there = self._until(phase, says, served, taken)
        if there is None:
            return
        happen(self.world, event, customer, 0, there)
        for _ in range(_HANGING_ROUNDS if event is Event.HANGS else rounds):
            for other in [actor for actor in self.world.stops.actors if actor is not there]:
                self._goes_on(other, others, says, served, taken)
            self.world.pass_time(_HANGING_SECONDS if event is Event.HANGS else _RETRY_SECONDS)
        self._goes_on(there, To.END, says, Served.DONE, taken)

    @step(
        phase=st.sampled_from([Phase.CLAIMED, Phase.ASKS, Phase.ANSWERED, Phase.COMMITS]),
        late=st.sampled_from([Said.TEXT, Said.TEXT, *Said]),
        said=_SAID,
        served=_SERVED,
        others=st.sampled_from([To.COMMIT, To.CALL, To.NEXT]),
        rounds=st.integers(1, _ROUNDS),
    )
    def zombie_comes_late(
        self, phase: Phase, late: Said, said: list[Said], served: Served, others: To, rounds: int
    ) -> None:
        """An attempt is taken for dead, others follow and come so far, then it brings what the model said to it."""
        if not self.world.stops.waiting:
            self.world.write(0, "Hello")
        lates, says = iter([late]), iter(said)
        there = self._until(phase, lates, served, Taken.TAKEN)
        if there is None:
            return
        happen(self.world, Event.ZOMBIE, 0, 0, there)
        for _ in range(rounds):
            self.world.pass_time(_RETRY_SECONDS)
            for other in [actor for actor in self.world.stops.actors if actor is not there]:
                self._goes_on(other, others, says, served, Taken.TAKEN)
        self._goes_on(there, To.END, lates, served, Taken.TAKEN)

    @step(customer=_CUSTOMER, said=_SAID, served=_SERVED)
    def is_answered(self, customer: int, said: list[Said], served: Served) -> None:
        """A whole turn: the customer writes, and all that follows comes to its end."""
        self._turn(customer, said, served)

    @step(customer=_CUSTOMER, event=st.sampled_from(_TO_A_QUESTION))
    def question_is_answered(self, customer: int, event: Event) -> None:
        """The model asks for what needs a yes; the customer is asked, and then something comes."""
        self._turn(customer, [Said.CANCEL_ORDER], Served.DONE)
        happen(self.world, event, customer, 0)

    def _turn(self, customer: int, said: list[Said], served: Served) -> None:
        self.world.write(customer, "Hello")
        says = iter(said)
        for _ in range(_MOST):
            if self.world.stops.waiting:
                self._goes_on(self.world.stops.actors[0], To.END, says, served, Taken.TAKEN)
            elif all(run.rests for run in self.world.runs.values()):
                return
            else:
                self.world.pass_time(_RETRY_SECONDS)

    @precondition(lambda self: self.world.stops.waiting)
    @step(who=_WHO, to=st.sampled_from(To), said=_SAID, served=_SERVED, taken=_TAKEN)
    def goes_on(self, who: int, to: To, said: list[Said], served: Served, taken: Taken) -> None:
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
            rests = self.world.come_to_rest()
            if rests and self.world.look(OPEN_QUESTIONS):
                self.world.pass_time(_ALL_EXPIRES)
                self.world.sweep()
                rests = self.world.come_to_rest()
            _judge(self.world, at_the_end(self.world) if rests else ["it never comes to rest", *self.world.unrest()])
        finally:
            self.world.end()

    # On the way

    def _until(self, phase: Phase, says: Any, served: Served, taken: Taken) -> Actor | None:
        """The actor that has come so far; None if nobody does."""
        for _ in range(_MOST):
            for stopped in self.world.stops.waiting:
                if phase_of(stopped) is phase:
                    return stopped.actor
            if not self.world.stops.waiting:
                return None
            self._goes_on(self.world.stops.actors[0], To.NEXT, says, served, taken)
        return None

    def _goes_on(self, actor: Actor, to: To, says: Any, served: Served, taken: Taken) -> None:
        outside: dict[Place, Callable[[], object]] = {
            Place.ASK: lambda: next(says, Said.TEXT),
            Place.CALL: lambda: served,
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


_COMMITS = {Phase.COMMITS, Phase.COMMITTED, Phase.SETTLES, Phase.SETTLED}


def _nothing() -> None:
    return None


def _nth(there: Sequence[T], n: int) -> T:
    return there[n % len(there)]


def _judge(world: World, broken: list[str]) -> None:
    if broken:
        told = world.stops.trace[-_TOLD:]
        raise AssertionError("\n".join(["Broken:", *broken, "What happened last:", *told]))
