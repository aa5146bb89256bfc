"""Actors and the places where they stop: each goes on only when it is released, one at a time, for one stop.

An actor is one attempt of an activity with all its tasks. It stops before and after each statement and each call to
the outside. Killed, it does nothing more, wherever it stands; what it left behind stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

ACTOR: ContextVar[Actor | None] = ContextVar("actor", default=None)


class KilledActor(BaseException):
    """The actor is dead: like a killed process, it sees nothing of it, for nothing follows."""


class Place(StrEnum):
    """Where an actor stops."""

    BEFORE = "before"  #: a statement
    AFTER = "after"  #: a statement that has taken effect; its answer is on the way
    ASK = "ask"  #: the question is on its way to the model
    ANSWER = "answer"  #: the model's answer is on its way to us
    CALL = "call"  #: a service is about to be called
    RESULT = "result"  #: the service has done what it does; its answer is on the way
    SEND = "send"  #: a part of a reply is about to be sent
    TAKEN = "taken"  #: the channel has taken it, or not; its answer is on the way
    FETCH = "fetch"  #: a file is about to be fetched
    LOOK_UP = "look up"  #: upstream is about to be asked whether it knows a thread


@dataclass
class Actor:
    """`ended` is set with the outcome, or with an exception; `alive` is false once it is killed."""

    name: str
    ended: asyncio.Future[Any]
    alive: bool = True
    lost: bool = False
    """Taken for dead by whoever waited for it: a zombie."""
    task: asyncio.Task[Any] | None = None
    asked: int = 0
    """Questions it put."""


@dataclass
class Stopped:
    """An actor that waits at a stop. `about` is what the outside is asked for."""

    actor: Actor
    place: Place
    what: str
    go: asyncio.Future[Any]
    about: Any = None

    def __str__(self) -> str:
        return f"{self.actor.name} {self.place} {self.what}"


@dataclass
class Stops:
    """Who waits where, oldest first; `trace` tells all that happened, in words that are the same in every run."""

    loop: asyncio.AbstractEventLoop
    waiting: list[Stopped] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)

    async def at(self, place: Place, what: str, about: Any = None) -> Any:
        """Waits for a release and returns what it was released with. Outside of actors nobody stops."""
        actor = ACTOR.get()
        if actor is None:
            return None
        if not actor.alive:
            raise KilledActor
        stopped = Stopped(actor, place, what, self.loop.create_future(), about)
        stopped.go.add_done_callback(_seen)
        self.waiting.append(stopped)
        try:
            return await stopped.go
        finally:
            self.waiting.remove(stopped)

    def release(self, stopped: Stopped, outcome: Any = None) -> None:
        """Lets it go on with *outcome*: returned, or raised if it is an exception."""
        self.trace.append(f"{stopped}{'' if outcome is None else f': {outcome!r}'}")
        if isinstance(outcome, BaseException):
            stopped.go.set_exception(outcome)
        else:
            stopped.go.set_result(outcome)

    def start(self, name: str, does: Callable[[], Coroutine[Any, Any, Any]]) -> Actor:
        """A new actor at work."""
        actor = Actor(name, self.loop.create_future())
        actor.ended.add_done_callback(_seen)
        context = copy_context()
        context.run(ACTOR.set, actor)
        actor.task = asyncio.Task(does(), loop=self.loop, context=context)
        actor.task.add_done_callback(lambda task: _end(actor, task))
        return actor

    def kill(self, actor: Actor) -> None:
        """As `kill -9` does."""
        self.trace.append(f"{actor.name} is killed")
        actor.alive = False
        for stopped in [each for each in self.waiting if each.actor is actor and not each.go.done()]:
            stopped.go.set_exception(KilledActor())
        assert actor.task is not None
        actor.task.cancel()

    def cancel(self, actor: Actor) -> None:
        """As a worker does that is told to stop: the actor may still write what it must."""
        self.trace.append(f"{actor.name} is cancelled")
        assert actor.task is not None
        actor.task.cancel()

    def lose(self, actor: Actor) -> None:
        """Whoever waits for it takes it for dead; it goes on all the same."""
        self.trace.append(f"{actor.name} is taken for dead")
        actor.lost = True
        if not actor.ended.done():
            actor.ended.set_exception(Lost())

    @property
    def actors(self) -> list[Actor]:
        """Those that wait at a stop, each once, in the order in which they came there."""
        found: list[Actor] = []
        for each in self.waiting:
            if each.actor not in found:
                found.append(each.actor)
        return found

    def of(self, actor: Actor) -> list[Stopped]:
        return [each for each in self.waiting if each.actor is actor and not each.go.done()]


class Lost(Exception):
    """Nothing was heard of the attempt any more."""


def _seen(future: asyncio.Future[Any]) -> None:
    """An exception that nobody waits for any more is no news."""
    if not future.cancelled():
        future.exception()


def _end(actor: Actor, task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if actor.ended.done():
        return
    if task.cancelled() or not actor.alive:
        actor.ended.set_exception(Lost())
    elif error is not None:
        actor.ended.set_exception(error)
    else:
        actor.ended.set_result(task.result())
