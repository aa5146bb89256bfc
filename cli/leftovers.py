"""`agent leftover list|show`: what channels sent that had no effect, and why."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import UUID

import typer

from cli.plain import plain, plain_json
from cli.surroundings import on_database, stop
from schemas.leftovers import LeftoverSummary
from storage.leftovers import Leftovers

app = typer.Typer(help="What channels sent that could not be used.", no_args_is_help=True)


@app.command("list")
def show_list(limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50) -> None:
    """Print the newest, one a line: when, over which channel and account, and why. Nobody's words."""
    found = on_database(lambda database, _: Leftovers(database).summaries(limit))
    for leftover in found:
        typer.echo(_line(leftover))
    if not found:
        typer.echo("no leftovers")


@app.command()
def show(leftover: Annotated[UUID, typer.Argument(help="Its id, as `list` prints it.")]) -> None:
    """Print one as it came, as JSON: it may hold a customer's words."""
    found = on_database(lambda database, _: Leftovers(database).get(leftover))
    if found is None:
        raise stop(f"{leftover}: there is no such leftover (any more)")
    typer.echo(plain_json(json.dumps(found.raw, ensure_ascii=False, indent=2)))


def _line(leftover: LeftoverSummary) -> str:
    where = f"{plain(leftover.channel)}  {plain(leftover.account or '-')}"
    return (
        f"{leftover.id}  {leftover.received_at:%Y-%m-%d %H:%M:%S}Z  {where}  {leftover.bytes} B  {plain(leftover.why)}"
    )
