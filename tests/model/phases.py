"""How far an actor is: the moments at which something may meet it. The table event × phase is made of these."""

from __future__ import annotations

from tests.model.names import Name
from tests.model.stops import Place, Stopped


class Phase(Name):
    RESTS = "nobody is at work"
    CLAIMS = "before the claim"
    CLAIMED = "claimed"
    ASKS = "the question leaves"
    ANSWERED = "the answer comes"
    COMMITS = "before the commit"
    COMMITTED = "after the commit"
    BEGINS_EFFECT = "before an effect begins"
    EFFECT_BEGUN = "an effect has begun"
    CALLS = "a service is called"
    CALLED = "a service has done it"
    SETTLES = "before it is settled"
    SETTLED = "after it is settled"
    PLANS = "parts are planned"
    SENDS = "a part leaves"
    TAKEN = "the channel has it"
    SENT = "the part is sent"
    FETCHES = "a file is fetched"
    LOOKS_UP = "a thread is looked up"


_BY_STOP: dict[tuple[Place, str], Phase] = {
    (Place.BEFORE, "claim"): Phase.CLAIMS,
    (Place.AFTER, "claim"): Phase.CLAIMED,
    (Place.BEFORE, "begin question"): Phase.CLAIMED,
    (Place.AFTER, "begin question"): Phase.ASKS,
    (Place.BEFORE, "commit"): Phase.COMMITS,
    (Place.AFTER, "commit"): Phase.COMMITTED,
    (Place.BEFORE, "begin effect"): Phase.BEGINS_EFFECT,
    (Place.AFTER, "begin effect"): Phase.EFFECT_BEGUN,
    (Place.BEFORE, "settle effect"): Phase.SETTLES,
    (Place.AFTER, "settle effect"): Phase.SETTLED,
    (Place.BEFORE, "plan parts"): Phase.PLANS,
    (Place.AFTER, "plan parts"): Phase.PLANS,
    (Place.BEFORE, "begin part"): Phase.PLANS,
    (Place.AFTER, "begin part"): Phase.SENDS,
    (Place.BEFORE, "settle part"): Phase.TAKEN,
    (Place.AFTER, "settle part"): Phase.SENT,
}
_BY_PLACE = {
    Place.ASK: Phase.ASKS,
    Place.ANSWER: Phase.ANSWERED,
    Place.CALL: Phase.CALLS,
    Place.RESULT: Phase.CALLED,
    Place.SEND: Phase.SENDS,
    Place.TAKEN: Phase.TAKEN,
    Place.FETCH: Phase.FETCHES,
    Place.LOOK_UP: Phase.LOOKS_UP,
}


def phase_of(stopped: Stopped) -> Phase | None:
    """None: a moment of no name."""
    return _BY_PLACE.get(stopped.place) or _BY_STOP.get((stopped.place, stopped.what))
