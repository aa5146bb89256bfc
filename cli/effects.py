"""`agent effect list|resolve`: what was done outside, and a human's word on what nobody knows."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from cli.plain import plain
from cli.surroundings import on_database, stop
from cli.values import actor, trouble_with
from schemas.effects import Effect, EffectStatus
from schemas.requests import Note
from storage.effects import Effects, NotUnknown

app = typer.Typer(help="Effects of actions: what was done outside.", no_args_is_help=True)


class Outcome(StrEnum):
    CONFIRMED = "confirmed"
    FAILED = "failed"


@app.command("list")
def show_list(
    status: Annotated[EffectStatus | None, typer.Option(help="Only these; `unknown` ones wait for you.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
) -> None:
    """Print the newest effects, one a line."""
    found = on_database(lambda database, _: Effects(database).newest(limit, status))
    for effect in found:
        typer.echo(_line(effect))
    if not found:
        typer.echo("no effects" if status is None else f"no effects that are {status}")


@app.command()
def resolve(
    effect: Annotated[UUID, typer.Argument(help="Its id, as `list` prints it.")],
    outcome: Annotated[Outcome, typer.Option(help="What became of it.")],
    note: Annotated[str, typer.Option(help="How you know.")],
) -> None:
    """Settle an effect of unknown outcome. Nothing is done and nobody is told."""
    if trouble := trouble_with(note, Note):
        raise stop(f"--note: {trouble}; say how you know")
    who = actor()
    try:
        settled = on_database(
            lambda database, _: Effects(database).resolve(effect, outcome.value, note=note, settled_by=who)
        )
    except NotUnknown as known:
        raise stop(f"only an unknown effect is settled by hand; {effect} is {plain(str(known))}") from None
    if settled is None:
        raise stop(f"{effect}: there is no such effect")
    typer.echo(_line(settled))


def _line(effect: Effect) -> str:
    settled = f"  by {plain(effect.settled_by)}" if effect.settled_by else ""
    told = f"{plain(effect.kind)}  {effect.planned_at:%Y-%m-%d %H:%M:%S}Z  {plain(effect.key)}"
    return f"{effect.id}  {effect.status:<9}  {told}{settled}"
