"""`agent key add`: API keys for callers. A key is shown once; only its hash is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from cli.surroundings import on_database
from cli.values import NAME
from config.clock import utc_now
from storage.api_keys import ApiKeys

app = typer.Typer(help="API keys.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """API keys."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(callback=NAME, help="Whose key it is; named in the audit of what it does.")],
    expires_days: Annotated[int | None, typer.Option(min=1, max=3_650, help="Unset: it never expires.")] = None,
) -> None:
    """Make a key and print it: the only time it can be seen."""
    expires_at = utc_now() + timedelta(days=expires_days) if expires_days else None
    typer.echo(on_database(lambda database, _: ApiKeys(database).add(name, expires_at=expires_at)))
