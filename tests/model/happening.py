"""Makes an event happen in the world, and notes at which moments it did (`world.met`)."""

from __future__ import annotations

from storage.database import StorageUnavailable
from tests.model import inside
from tests.model.configurations import Configured
from tests.model.driver import Run
from tests.model.events import CHANGES, REPORTS, Event
from tests.model.phases import Phase, phase_of
from tests.model.stops import Actor, Place
from tests.model.world import World

_MESSAGES: dict[Event, tuple[tuple[str, ...], float]] = {
    Event.MESSAGE: (("Hello",), 0),
    Event.UNWOKEN: (("Hello",), 0),
    Event.YES: (("yes",), 0),
    Event.NO: (("no",), 0),
    Event.BURST: (("no", "yes"), 0),
    Event.LATE_YES: (("yes",), 15),
}
_SWEEP_AFTER = 70
_LONG = 1_000


def happen(world: World, event: Event, customer: int, which: int, there: Actor | None = None) -> None:
    """*there*: who is at work at that moment; *which*: among several of a kind, counted from the newest."""
    phases = {phase for stopped in world.stops.waiting if (phase := phase_of(stopped)) is not None}
    if there is not None:
        phases = {phase for stopped in world.stops.of(there) if (phase := phase_of(stopped)) is not None}
    if _happen(world, event, customer, which, there):
        world.met.update((event, phase) for phase in phases or {Phase.RESTS})


def _happen(world: World, event: Event, customer: int, which: int, there: Actor | None) -> bool:
    """Whether it could happen."""
    if event in _MESSAGES:
        texts, ago = _MESSAGES[event]
        world.write(customer, *texts, ago=ago, woken=event is not Event.UNWOKEN)
    elif event is Event.AGAIN:
        world.repeat(world.written[-1 - which % len(world.written)])
    elif event in (Event.BUTTON, Event.OLD_BUTTON):
        return _press(world, which + (event is Event.OLD_BUTTON))
    elif event in REPORTS:
        return _report(world, event, which)
    elif event is Event.ERASE:
        world.erase(world.conversations[which % len(world.conversations)])
    elif event is Event.CONFIGURED:
        every = list(Configured)
        world.configure(every[(every.index(world.configured) + 1 + which) % len(every)])
    elif event is Event.SWEEP:
        world.pass_time(_SWEEP_AFTER)
        world.sweep()
    elif event is Event.TIME:
        world.pass_time(_LONG)
    elif there is not None:
        return _to_actor(world, event, there) or _by_staff(world, event, customer)
    else:
        return _by_staff(world, event, customer)
    return True


def _press(world: World, which: int) -> bool:
    asked = [posted for posted in reversed(world.whatsapp.sent) if posted.choices]
    if not asked:
        return False
    posted = asked[which % len(asked)]
    world.write(world.customer_of(posted), "Yes", choice=posted.choices[0].id)
    return True


def _report(world: World, event: Event, which: int) -> bool:
    sent = len(world.whatsapp.sent)
    if sent:
        world.report(sent - 1 - which % sent, *REPORTS[event])
    return bool(sent)


def _to_actor(world: World, event: Event, actor: Actor) -> bool:
    stopped = world.stops.of(actor)[0]
    sweeps = actor.name.startswith("sweep")
    if event is Event.KILLED:
        world.kill(actor)
    elif event is Event.ZOMBIE and not actor.lost and not sweeps:
        world.lose(actor)
    elif event is Event.BREAKS and stopped.place in (Place.BEFORE, Place.AFTER):
        world.release(stopped, StorageUnavailable("the connection broke"))
    elif event is Event.STOPPED and not sweeps:
        world.stop(actor)
    else:
        return event is Event.HANGS
    return True


def _by_staff(world: World, event: Event, customer: int) -> bool:
    runs: list[Run] = [run for run in world.runs.values() if run.conversation_id not in world.erased]
    if not runs:
        return False
    run = runs[customer % len(runs)]
    if event in CHANGES:
        world.change(run, CHANGES[event])
    elif event is Event.RESET:
        world.reset(run)
    elif event is Event.STAFF_WRITES:
        world.staff_write(run)
    elif event is Event.RESOLVED:
        return world.resolve_newest_ticket()
    elif event is Event.CANCEL and not run.ended:
        world.cancel(run)
    elif event is Event.DECIDED:
        return _decide(world, approved=customer == 0)
    else:
        return False
    return True


def _decide(world: World, *, approved: bool) -> bool:
    questions = world.look(inside.OPEN_QUESTIONS)
    if not questions:
        return False
    question = questions[-1]
    run = next(run for run in reversed(world.all_runs) if run.conversation_id == question["conversation_id"])
    for_customer = question["confirmation_by"] == "customer"
    world.decide(run, question["digest"], approved=approved, for_customer=for_customer)
    return True
