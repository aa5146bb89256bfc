"""The table event × phase: which of them met, how often, over all examples that were played; and rare states."""

from __future__ import annotations

from collections import Counter

from schemas.actions import ActionStatus
from schemas.effects import EffectStatus
from schemas.turn_record import TurnStatus
from tests.model.events import OF_ACTORS, DrawnEvent
from tests.model.phases import Phase

Met = Counter[tuple[DrawnEvent, Phase]]

_WITHOUT_A_STATEMENT = (Phase.ANSWERED, Phase.CALLS, Phase.CALLED, Phase.FETCHES, Phase.LOOKS_UP)

IMPOSSIBLE: dict[tuple[DrawnEvent, Phase], str] = {
    **dict.fromkeys([(event, Phase.RESTS) for event in OF_ACTORS], "nobody is there for it to happen to"),
    **dict.fromkeys(
        [(DrawnEvent.BREAKS, phase) for phase in _WITHOUT_A_STATEMENT],
        "no statement is under way whose connection could break",
    ),
}
"""Cells that cannot be, and why: they are not counted."""

RARE = frozenset(
    {
        *(f"turn {status}" for status in TurnStatus),
        *(f"action {status}" for status in ActionStatus),
        *(f"effect {status}" for status in EffectStatus),
        *(f"part {status}" for status in EffectStatus),
        *("action withheld", "reply withheld", "over the limit", "a place in the queue", "an interim notice"),
        *("a thread that ended", "a thread that was lost"),
        *("file kept", "file refused", "conversation merged", "conversation stopped", "customer erased"),
    }
)
"""States that some example has to reach (`inside.STATES`)."""


def pairs() -> set[tuple[DrawnEvent, Phase]]:
    """All that can be."""
    return {(event, phase) for event in DrawnEvent for phase in Phase} - IMPOSSIBLE.keys()


def reached(met: Met) -> float:
    """The share of the pairs that met."""
    return len(pairs() & met.keys()) / len(pairs())


def table(met: Met) -> str:
    """One row an event, one column a phase; a dot where they cannot meet, `0` where they never did."""
    lines = [f"{n:>2} {phase}" for n, phase in enumerate(Phase, 1)]
    lines.append(" " * 24 + "".join(f"{n:>6}" for n, _ in enumerate(Phase, 1)))
    for event in DrawnEvent:
        counts = ["·" if (event, phase) in IMPOSSIBLE else str(met[event, phase]) for phase in Phase]
        lines.append(f"{event:<24}" + "".join(f"{count:>6}" for count in counts))
    reasons = [f"· {why}: {event}" for event, why in sorted({(e, why) for (e, _), why in IMPOSSIBLE.items()})]
    return "\n".join([*lines, *reasons, f"{reached(met):.1%} of {len(pairs())} pairs reached"])
