"""The table event × phase: which of them met, how often, over all examples that were played."""

from __future__ import annotations

from collections import Counter

from tests.model.events import OF_ACTORS, Event
from tests.model.phases import Phase

Met = Counter[tuple[Event, Phase]]


def pairs() -> set[tuple[Event, Phase]]:
    """All that can be: nobody at work is nobody to be killed, and only at a statement a connection breaks."""
    outside = {Phase.ANSWERED, Phase.CALLS, Phase.CALLED}
    return {
        (event, phase)
        for event in Event
        for phase in Phase
        if not (event in OF_ACTORS and phase is Phase.RESTS) and not (event is Event.BREAKS and phase in outside)
    }


def reached(met: Met) -> float:
    """The share of the pairs that met."""
    return len(pairs() & met.keys()) / len(pairs())


def table(met: Met) -> str:
    """One row an event, one column a phase; a dot where they cannot meet, `0` where they never did."""
    possible, lines = pairs(), [f"{n:>2} {phase}" for n, phase in enumerate(Phase, 1)]
    lines.append(" " * 24 + "".join(f"{n:>6}" for n, _ in enumerate(Phase, 1)))
    for event in Event:
        counts = [str(met[event, phase]) if (event, phase) in possible else "·" for phase in Phase]
        lines.append(f"{event:<24}" + "".join(f"{count:>6}" for count in counts))
    lines.append(f"{reached(met):.1%} of {len(possible)} pairs reached")
    return "\n".join(lines)
