"""Makes an event happen in the world, and notes at which moments it did (`world.met`)."""

from __future__ import annotations

from collections.abc import Callable

from storage.database import StorageUnavailable
from tests.model import customers, inside, staff
from tests.model.configurations import Configured
from tests.model.customers import Said
from tests.model.driver import DrivenRun
from tests.model.events import CHANGES, REPORTS, DrawnEvent
from tests.model.phases import Phase, phase_of
from tests.model.stops import Actor, Place
from tests.model.world import STEP_SECONDS, World

_MESSAGES: dict[DrawnEvent, tuple[Said, ...]] = {
    DrawnEvent.MESSAGE: (Said("Hello"),),
    DrawnEvent.UNWOKEN: (Said("Hello"),),
    DrawnEvent.YES: (Said("yes"),),
    DrawnEvent.NO: (Said("no"),),
    DrawnEvent.BURST: (Said("no"), Said("yes")),
    DrawnEvent.LATE_YES: (Said("yes", ago=15),),
    DrawnEvent.FILE: (Said("This one", file=True),),
}
_SWEEP_AFTER = 70
_LONG = 1_000
_FULL_SECONDS = 40
"""So long others keep the account's slot: the next in the queue gives up none of its tries for it."""

_USED_SECONDS = 60
"""So long others go on using up the account's minute: who waits for it is told, and comes again, before it ends."""


def happen(world: World, event: DrawnEvent, customer: int, which: int, there: Actor | None = None) -> bool:
    """Whether it could. *there*: who is at work at that moment; *which*: among several of a kind, from the newest."""
    phases = {phase for stopped in world.stops.waiting if (phase := phase_of(stopped)) is not None}
    if there is not None:
        phases = {phase for stopped in world.stops.of(there) if (phase := phase_of(stopped)) is not None}
    could = _happen(world, event, customer, which, there)
    if could:
        world.met.update((event, phase) for phase in phases or {Phase.RESTS})
    return could


def _happen(world: World, event: DrawnEvent, customer: int, which: int, there: Actor | None) -> bool:
    if event in _MESSAGES:
        customers.write(world, customer, *_MESSAGES[event], woken=event is not DrawnEvent.UNWOKEN)
        return True
    if event in REPORTS:
        return _report(world, event, which)
    if event in _ANYWHERE:
        return _ANYWHERE[event](world, customer, which)
    if there is not None and world.stops.of(there) and _to_actor(world, event, there):
        return True
    return _by_staff(world, event, customer)


def _again(world: World, _customer: int, which: int) -> bool:
    customers.repeat(world, world.composed[-1 - which % len(world.composed)])
    return True


def _press(world: World, which: int, *, before: tuple[Said, ...] = (), after: tuple[Said, ...] = ()) -> bool:
    asked = [posted for posted in reversed(world.whatsapp.sent) if posted.choices]
    if not asked:
        return False
    posted = asked[which % len(asked)]
    yes = Said("Yes", choice=posted.choices[0].id)
    customers.write(world, customers.customer_of(world, posted), *before, yes, *after)
    return True


def _press_beside_words(world: World, _customer: int, which: int) -> bool:
    """Of the newest question; the words come first, or last."""
    words = (Said("no"),)
    return _press(world, 0, after=words) if which % 2 else _press(world, 0, before=words)


def _edited(world: World, customer: int, which: int) -> bool:
    texts = [f"Changed {len(world.composed)}.", "yes", "no"]
    return customers.revise(world, customer, texts[which % len(texts)])


def _limited(world: World, customer: int, _which: int) -> bool:
    texts = [f"Flood {len(world.composed) + n}" for n in range(2)]
    customers.write(world, customer, *(Said(text) for text in texts), limit=1)
    return True


def _merged(world: World, customer: int, _which: int) -> bool:
    """Both have to have a conversation: else they are one from the beginning. Later than what was claimed before."""
    world.loop.advance(STEP_SECONDS)
    known, world.joined = {row["id"] for row in world.look(inside.LIVE)}, world.passed
    customers.write(world, customer, Said("Hello from both"), as_both=True)
    world.are_one = True
    return len(known) > 1


def _new_number(world: World, _customer: int, which: int) -> bool:
    """The stranger says what would mean something to the one who had the number."""
    return customers.changes_hands(world, customers.HELLO if which % 2 else "yes")


def _account_full(world: World, _customer: int, _which: int) -> bool:
    world.tell("others keep the account busy")
    world.run(world.database.rows(inside.OTHERS_ASK, {"seconds": _FULL_SECONDS}))
    return True


def _minute_used(world: World, _customer: int, _which: int) -> bool:
    world.tell("others use up the account's minute")
    calls = world.settings.perplexity_account_calls_per_minute
    world.run(world.database.rows(inside.OTHERS_ASKED, {"seconds": _USED_SECONDS, "calls": calls}))
    return True


def _forgotten(world: World, _customer: int, _which: int) -> bool:
    world.tell("Perplexity forgets the threads")
    return world.perplexity.forget()


def _erase(world: World, _customer: int, which: int) -> bool:
    staff.erase(world, world.conversations[which % len(world.conversations)])
    return True


def _configured(world: World, _customer: int, which: int) -> bool:
    """First of all to one that lacks what may be under way."""
    every = [Configured.NO_ENDPOINTS, *(each for each in Configured if each is not Configured.NO_ENDPOINTS)]
    others = [each for each in every if each is not world.configured]
    staff.configure(world, others[which % len(others)])
    return True


def _sweep(world: World, _customer: int, _which: int) -> bool:
    world.pass_time(_SWEEP_AFTER)
    world.sweep()
    return True


def _time(world: World, _customer: int, _which: int) -> bool:
    world.pass_time(_LONG)
    return True


_ANYWHERE: dict[DrawnEvent, Callable[[World, int, int], bool]] = {
    DrawnEvent.AGAIN: _again,
    DrawnEvent.BUTTON: lambda world, _, which: _press(world, which),
    DrawnEvent.OLD_BUTTON: lambda world, _, which: _press(world, which + 1),
    DrawnEvent.BUTTON_BESIDE: _press_beside_words,
    DrawnEvent.EDITED: _edited,
    DrawnEvent.TAKEN_BACK: lambda world, customer, _: customers.revise(world, customer, None),
    DrawnEvent.LIMITED: _limited,
    DrawnEvent.MERGED: _merged,
    DrawnEvent.NEW_NUMBER: _new_number,
    DrawnEvent.ACCOUNT_FULL: _account_full,
    DrawnEvent.MINUTE_USED: _minute_used,
    DrawnEvent.FORGOTTEN: _forgotten,
    DrawnEvent.ERASE: _erase,
    DrawnEvent.CONFIGURED: _configured,
    DrawnEvent.SWEEP: _sweep,
    DrawnEvent.TIME: _time,
    DrawnEvent.STAFF_AGAIN: lambda world, *_: staff.write_again(world),
    DrawnEvent.RESOLVED: lambda world, *_: staff.resolve_newest_ticket(world),
    DrawnEvent.APPROVED: lambda world, *_: staff.decide(world, approved=True),
    DrawnEvent.DECLINED: lambda world, *_: staff.decide(world, approved=False),
    DrawnEvent.DECIDED_AGAIN: lambda world, *_: staff.resume_approval(world),
}


def _report(world: World, event: DrawnEvent, which: int) -> bool:
    sent = len(world.whatsapp.sent)
    if sent:
        customers.report(world, sent - 1 - which % sent, *REPORTS[event])
    return bool(sent)


def _to_actor(world: World, event: DrawnEvent, actor: Actor) -> bool:
    stopped = world.stops.of(actor)[0]
    sweeps = actor.name.startswith("sweep")
    if event is DrawnEvent.KILLED:
        world.kill(actor)
    elif event is DrawnEvent.ZOMBIE and not actor.lost and not sweeps:
        world.lose(actor)
    elif event is DrawnEvent.BREAKS and stopped.place in (Place.BEFORE, Place.AFTER):
        world.release(stopped, StorageUnavailable("the connection broke"))
    elif event is DrawnEvent.STOPPED and not sweeps:
        world.stop(actor)
    else:
        return event is DrawnEvent.HANGS
    return True


def _by_staff(world: World, event: DrawnEvent, customer: int) -> bool:
    live = {row["id"] for row in world.look(inside.LIVE)}  # no other is found by its customer
    runs: list[DrivenRun] = [run for run in world.runs.values() if run.conversation_id in live]
    if not runs:
        return False
    run = runs[customer % len(runs)]
    if event in CHANGES:
        staff.change(world, run, CHANGES[event])
    elif event is DrawnEvent.RESET:
        staff.reset(world, run)
    elif event is DrawnEvent.STAFF_WRITES:
        staff.write(world, run)
    elif event is DrawnEvent.CONTINUES and not run.ended:
        world.fill(run)
    elif event is DrawnEvent.CANCEL and not run.ended:
        staff.cancel(world, run)
    else:
        return False
    return True
