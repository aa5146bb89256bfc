"""`agent key add|list|revoke`: API keys for callers. A key is shown once; only its hash is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from cli.plain import plain
from cli.surroundings import on_database, stop
from cli.values import NAME, actor
from config.clock import utc_now
from schemas.access import Scope
from storage.api_keys import FIRST, ApiKeys, KeyRefused, ListedKey

app = typer.Typer(help="API keys.", no_args_is_help=True)

_SCOPES = ", ".join(Scope)


@app.command()
def add(
    name: Annotated[str, typer.Argument(callback=NAME, help="Whose key it is; named in the audit of what it does.")],
    scope: Annotated[
        list[str], typer.Option(help=f"What it permits: {_SCOPES}; several with commas, or the option repeated.")
    ],
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="Unset: it never expires.")] = None,
) -> None:
    """Make a key and print it: the only time it can be seen. It is in force within 5 s."""
    if name == FIRST:
        raise stop(f"NAME: {FIRST!r} is API_KEY's; choose another")
    scopes, who = _scopes(scope), actor()
    expires_at = utc_now() + timedelta(days=days) if days else None
    try:
        made = on_database(
            lambda database, _: ApiKeys(database).add(name, scopes=scopes, actor=who, expires_at=expires_at)
        )
    except KeyRefused as refused:
        raise stop(str(refused)) from None
    typer.echo(made)


@app.command("list")
def show_list() -> None:
    """Print all keys, one a line, never a key itself; those that are over come last."""
    for key in on_database(lambda database, _: ApiKeys(database).all()):
        typer.echo(_line(key))


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(callback=NAME, help="Its name or id, as `list` prints it.")],
) -> None:
    """End a key: within 5 s nobody can call with it."""
    who = actor()
    revoked = on_database(lambda database, _: ApiKeys(database).revoke(name, actor=who))
    if revoked is None:
        raise stop(f"{name}: there is no such key in force")
    typer.echo(f"key {plain(revoked)} is revoked")


def _scopes(given: list[str]) -> list[Scope]:
    """Of `message,session` as of the option repeated."""
    words = [word.strip() for each in given for word in each.split(",")]
    try:
        return sorted({Scope(word) for word in words})
    except ValueError:
        raise stop(f"--scope: got {','.join(words)!r}; give some of {_SCOPES}, with commas between them") from None


def _line(key: ListedKey) -> str:
    over = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "expired" if key.expired else ""
    until = f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "never expires"
    parts = (plain(key.name), ",".join(sorted(key.scopes)) or "no scope", f"added {key.created_at:%Y-%m-%d}")
    return "  ".join((str(key.id), *parts, over or until))
