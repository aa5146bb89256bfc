"""How examples are drawn: what is likely to come to pass at a moment is drawn often, and what cannot is not.

A *meeting* is drawn whole: what happens, at which phase, what there is before it so that it means something, and what
the model says so that the phase comes. An example has a profile, whose events it favours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.model.events import OF_ACTORS, REPORTS, DrawnEvent
from tests.model.names import Name
from tests.model.outside import ModelSays, Served, Taken
from tests.model.phases import Phase


class To(Name):
    """How far an actor goes on."""

    NEXT = "the next stop"
    COMMIT = "a commit"
    CALL = "a call"
    END = "its end"


class Given(Name):
    """What there is before, made by whole turns."""

    NOTHING = "nothing"
    REPLY = "a reply"
    QUESTION = "an open question"
    QUESTIONS = "two questions, of which the newer is open"
    APPROVAL = "a ticket that waits for staff"
    CALL = "a call for a person that waits for staff"
    DECIDED = "a ticket that staff approved"
    TICKET = "a ticket"
    HUMAN = "a person has the conversation"
    HELD = "a person has it, and the customer wrote"
    CLOSED = "it is closed"
    OTHER = "the other customer wrote too"
    FULL = "others keep the account busy"
    MINUTE = "others use up the account's minute"
    FORGOTTEN = "Perplexity forgot the threads"
    HELD_BY_TICKET = "a ticket is open, under which what comes is held"


class Profile(Name):
    """What an example favours."""

    ANYTHING = "anything"
    CUSTOMERS = "customers"
    STAFF = "staff"
    CHANNEL = "channel"
    MACHINES = "machines"


_FAVOURED: dict[Profile, tuple[DrawnEvent, ...]] = {
    Profile.ANYTHING: (),
    Profile.CUSTOMERS: (
        *(
            DrawnEvent.MESSAGE,
            DrawnEvent.YES,
            DrawnEvent.NO,
            DrawnEvent.BURST,
            DrawnEvent.LATE_YES,
            DrawnEvent.BUTTON,
            DrawnEvent.OLD_BUTTON,
            DrawnEvent.BUTTON_BESIDE,
        ),
        *(DrawnEvent.EDITED, DrawnEvent.TAKEN_BACK),
        *(DrawnEvent.UNWOKEN, DrawnEvent.FILE, DrawnEvent.LIMITED, DrawnEvent.MERGED, DrawnEvent.NEW_NUMBER),
    ),
    Profile.STAFF: (
        *(
            DrawnEvent.TAKE_OVER,
            DrawnEvent.RELEASE,
            DrawnEvent.CLOSE,
            DrawnEvent.RESET,
            DrawnEvent.APPROVED,
            DrawnEvent.DECLINED,
        ),
        *(
            DrawnEvent.DECIDED_AGAIN,
            DrawnEvent.RESOLVED,
            DrawnEvent.STAFF_WRITES,
            DrawnEvent.STAFF_AGAIN,
            DrawnEvent.CONFIGURED,
            DrawnEvent.ERASE,
            DrawnEvent.CANCEL,
        ),
    ),
    Profile.CHANNEL: (*REPORTS, DrawnEvent.TIME, DrawnEvent.SWEEP, DrawnEvent.AGAIN),
    Profile.MACHINES: (
        DrawnEvent.CONTINUES,
        DrawnEvent.SWEEP,
        DrawnEvent.CONFIGURED,
        DrawnEvent.ACCOUNT_FULL,
        DrawnEvent.MINUTE_USED,
        DrawnEvent.FORGOTTEN,
        DrawnEvent.UNWOKEN,
    ),
}
_WEIGHT = 2
"""How often a favoured event stands beside each of the others."""
OUTER = [event for event in DrawnEvent if event not in OF_ACTORS]

_TO_A_QUESTION = (Given.QUESTION, Given.QUESTION, Given.QUESTIONS, Given.NOTHING)
_OF_STAFF = (Given.NOTHING, Given.REPLY, Given.QUESTION, Given.HUMAN, Given.HELD, Given.CLOSED, Given.APPROVAL)
_FITTING: dict[DrawnEvent, tuple[Given, ...]] = {
    **dict.fromkeys(
        (DrawnEvent.YES, DrawnEvent.NO, DrawnEvent.BURST, DrawnEvent.LATE_YES, DrawnEvent.BUTTON),
        _TO_A_QUESTION,
    ),
    DrawnEvent.BUTTON_BESIDE: (Given.QUESTION, Given.QUESTION, Given.QUESTIONS),
    DrawnEvent.OLD_BUTTON: (Given.QUESTIONS,),
    **dict.fromkeys((DrawnEvent.APPROVED, DrawnEvent.DECLINED), (Given.APPROVAL, Given.CALL)),
    DrawnEvent.DECIDED_AGAIN: (Given.DECIDED,),
    DrawnEvent.RESOLVED: (Given.TICKET, Given.HELD_BY_TICKET),
    DrawnEvent.MERGED: (Given.OTHER, Given.OTHER, Given.REPLY),
    DrawnEvent.NEW_NUMBER: (
        *(Given.NOTHING, Given.REPLY, Given.QUESTION, Given.QUESTIONS, Given.APPROVAL, Given.HELD, Given.OTHER),
    ),
    DrawnEvent.RELEASE: (Given.HUMAN, Given.HELD, Given.CLOSED),
    **dict.fromkeys((DrawnEvent.TAKE_OVER, DrawnEvent.CLOSE, DrawnEvent.RESET), _OF_STAFF),
    **dict.fromkeys(REPORTS, (Given.NOTHING, Given.REPLY, Given.REPLY)),
    DrawnEvent.CONFIGURED: (
        *(Given.NOTHING, Given.QUESTION, Given.APPROVAL, Given.TICKET),
        *(Given.HELD_BY_TICKET, Given.HELD_BY_TICKET),
    ),
    DrawnEvent.HANGS: (Given.OTHER, Given.NOTHING),
    **dict.fromkeys((DrawnEvent.ACCOUNT_FULL, DrawnEvent.MINUTE_USED), (Given.OTHER, Given.NOTHING)),
    DrawnEvent.FORGOTTEN: (Given.REPLY, Given.QUESTION, Given.TICKET),
}
_OF_SOMETHING = frozenset(
    {
        *(DrawnEvent.RESOLVED, DrawnEvent.APPROVED, DrawnEvent.DECLINED, DrawnEvent.DECIDED_AGAIN, DrawnEvent.MERGED),
        *(DrawnEvent.BUTTON, DrawnEvent.OLD_BUTTON, DrawnEvent.BUTTON_BESIDE, *REPORTS),
    }
)
"""They come to nothing where there is nothing that they are about: drawn once more with what is given for them."""
_GIVENS = st.sampled_from([Given.NOTHING, Given.NOTHING, Given.NOTHING, *Given])

_WITH_A_THREAD = (Given.REPLY, Given.QUESTION, Given.QUESTIONS, Given.TICKET, Given.APPROVAL)
"""After which the bot answers in a thread that exists."""
HOLDING = (Given.HUMAN, Given.HELD, Given.CLOSED, Given.HELD_BY_TICKET)
_OF_HOLDING = (Phase.CLAIMS, Phase.CLAIMED, Phase.COMMITS, Phase.COMMITTED)
"""What may be held comes no further than this."""

CALLS = [ModelSays.BOOK, ModelSays.PAY, ModelSays.LOOK_UP]
ACTIONS = [*CALLS, ModelSays.CANCEL_ORDER, ModelSays.TICKET, ModelSays.HANDOFF, ModelSays.CLOSE]
SAID = st.lists(
    st.sampled_from([*ModelSays, *ACTIONS, *CALLS, ModelSays.INVALID, ModelSays.INVALID]), min_size=1, max_size=3
)
SERVED = st.sampled_from([Served.DONE, Served.DONE, Served.DONE, *Served])
TAKEN = st.sampled_from([Taken.TAKEN, Taken.TAKEN, Taken.TAKEN, *Taken])
CUSTOMER = st.sampled_from([0, 0, 0, 1])

WHO = st.integers(0, 3)
ANSWERS_A_QUESTION = [
    DrawnEvent.YES,
    DrawnEvent.NO,
    DrawnEvent.BURST,
    DrawnEvent.LATE_YES,
    DrawnEvent.BUTTON,
    DrawnEvent.OLD_BUTTON,
    DrawnEvent.BUTTON_BESIDE,
]
WHILE_ASKED = [
    None,
    None,
    None,
    DrawnEvent.CONFIGURED,
    DrawnEvent.TAKE_OVER,
    DrawnEvent.CONTINUES,
    DrawnEvent.MERGED,
    DrawnEvent.NEW_NUMBER,
    DrawnEvent.TIME,
]
WHILE_HELD = [
    DrawnEvent.MESSAGE,
    DrawnEvent.MESSAGE,
    DrawnEvent.YES,
    DrawnEvent.BURST,
    DrawnEvent.FILE,
    DrawnEvent.EDITED,
    DrawnEvent.TAKEN_BACK,
    DrawnEvent.STAFF_WRITES,
    DrawnEvent.STAFF_AGAIN,
    DrawnEvent.CONTINUES,
]
GIVES_BACK = [DrawnEvent.RELEASE, DrawnEvent.RELEASE, DrawnEvent.RESET, DrawnEvent.CLOSE, DrawnEvent.DECIDED_AGAIN]
BESIDE_A_DECISION = [
    DrawnEvent.RESET,
    DrawnEvent.RELEASE,
    DrawnEvent.TAKE_OVER,
    DrawnEvent.CLOSE,
    DrawnEvent.CONFIGURED,
    DrawnEvent.MERGED,
]
AT_FRONT_DOORS = [
    *(DrawnEvent.MESSAGE, DrawnEvent.YES, DrawnEvent.BURST, DrawnEvent.BUTTON, DrawnEvent.AGAIN, DrawnEvent.FILE),
    *(DrawnEvent.LIMITED, DrawnEvent.MERGED, *REPORTS, DrawnEvent.TAKE_OVER, DrawnEvent.RELEASE, DrawnEvent.CLOSE),
    *(
        DrawnEvent.NEW_NUMBER,
        DrawnEvent.BUTTON_BESIDE,
        DrawnEvent.STAFF_AGAIN,
        DrawnEvent.EDITED,
        DrawnEvent.TAKEN_BACK,
    ),
    *(DrawnEvent.STAFF_WRITES, DrawnEvent.RESOLVED, DrawnEvent.APPROVED, DrawnEvent.DECLINED),
]
DOOR_STOPS = 8

OF_EFFECTS = (Phase.BEGINS_EFFECT, Phase.EFFECT_BEGUN, Phase.CALLS, Phase.CALLED, Phase.SETTLES, Phase.SETTLED)
_OF_COMMITS = (Phase.ANSWERED, Phase.COMMITS, Phase.COMMITTED)
_TELLING = [*_OF_COMMITS, Phase.CLAIMED, Phase.ASKS, *OF_EFFECTS, Phase.PLANS, Phase.SENDS, Phase.TAKEN]
"""Where something that meets it has undone a promise before."""
_AFTER_COMMITS = [*[Phase.COMMITTED] * 4, Phase.EFFECT_BEGUN, Phase.CALLED, Phase.SETTLED, Phase.TAKEN, Phase.SENT]
"""Where who is taken away leaves most behind."""
PHASES = [phase for phase in Phase if phase is not Phase.RESTS]

_ROUNDS = 4
_THEN = 3


@dataclass(frozen=True)
class Meeting:
    """*event* happens when somebody has come to *phase*; then the others go on *rounds* times, as far as *others*.

    *wrote*: what the customer wrote, which is what everybody is at work for. *then*: what else happens on the way.
    *served_late*: what services do for whoever stayed behind, once they go on.
    """

    event: DrawnEvent
    phase: Phase
    given: Given = Given.NOTHING
    said: tuple[ModelSays, ...] = (ModelSays.TEXT,)
    served: Served = Served.DONE
    served_late: Served = Served.DONE
    taken: Taken = Taken.TAKEN
    others: To = To.END
    rounds: int = _ROUNDS
    customer: int = 0
    wrote: str = "Hello"
    then: tuple[tuple[DrawnEvent, Phase], ...] = ()


@st.composite
def meetings(draw: st.DrawFn, events: Sequence[DrawnEvent]) -> Meeting:
    """Of one of *events*, and those of them that the example's profile favours."""
    event = draw(favoured([*events, *(each for each in events if each in _OF_SOMETHING)]))
    phase = draw(st.sampled_from([*PHASES, *_TELLING, *(_AFTER_COMMITS if event in OF_ACTORS else [])]))
    later = [each for each in PHASES if PHASES.index(each) >= PHASES.index(phase)]
    others = draw(st.lists(st.tuples(favoured(list(DrawnEvent)), st.sampled_from(later)), max_size=_THEN))
    given = draw(st.sampled_from(_FITTING[event]) if event in _FITTING else _GIVENS)
    if phase is Phase.LOOKS_UP and given not in _WITH_A_THREAD:
        given = Given.FORGOTTEN
    elif phase not in _OF_HOLDING and given in HOLDING:
        given = draw(st.sampled_from([given, Given.REPLY]))
    may_say_yes = given in (Given.QUESTION, Given.QUESTIONS)
    return Meeting(
        event=event,
        phase=phase,
        given=given,
        said=tuple(draw(said_until(phase))),
        served=draw(SERVED),
        served_late=draw(SERVED),
        taken=draw(TAKEN),
        others=draw(st.sampled_from(To)),
        rounds=draw(st.integers(1, _ROUNDS)),
        customer=draw(CUSTOMER),
        wrote=draw(st.sampled_from(["yes", "Hello"])) if may_say_yes else "Hello",
        then=tuple(sorted(others, key=lambda each: PHASES.index(each[1]))),
    )


@st.composite
def favoured(draw: st.DrawFn, events: Sequence[DrawnEvent]) -> DrawnEvent:
    """One of *events*; those of them that the example's profile favours are drawn more often."""
    machine: Any = draw(st.runner())
    more = [event for event in events if event in _FAVOURED[machine.profile]]
    return draw(st.sampled_from([*events, *more * _WEIGHT]))


@st.composite
def said_until(draw: st.DrawFn, phase: Phase) -> list[ModelSays]:
    """What the model says so that the phase comes, and what it says then."""
    then = draw(SAID)
    if phase is Phase.LOOKS_UP:
        return [ModelSays.FAILS, ModelSays.FAILS, *then]
    if phase in (Phase.CALLS, Phase.CALLED):
        return [draw(st.sampled_from(CALLS)), *then]
    if phase in OF_EFFECTS:
        return [draw(st.sampled_from(ACTIONS)), *then]
    if phase in _OF_COMMITS:
        return [draw(st.sampled_from([ModelSays.INVALID, ModelSays.INVALID, ModelSays.TEXT, *ACTIONS])), *then]
    return then
