"""`agent user add`: accounts of the people who work with the system, who sign in to the dashboard.

The password is never an argument.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from cli.surroundings import on_database, stop
from cli.values import NAME, actor

app = typer.Typer(help="People who work with the system.", no_args_is_help=True)

_LONGEST_INPUT = 10_000
"""Characters read from standard input; more than any password may have."""


class Role(StrEnum):
    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"


@app.callback()
def users() -> None:
    """People who work with the system."""


@app.command()
def add(
    email: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[Role, typer.Option(help="What they may do.")],
    name: Annotated[str, typer.Option(callback=NAME, help="As colleagues and customers may see it.")] = "",
) -> None:
    """Add a user, who signs in at /dashboard/login. Their password is asked here, or read as a line from a pipe."""
    from storage.users import UserRefused, Users, check_password, checked_email

    try:
        checked_email(email)  # before anybody types a password in vain
        password = _password()
        check_password(password)
        who = actor()
        added = on_database(
            lambda database, _: Users(database).add(email, name=name, role=role.value, password=password, actor=who)
        )
    except UserRefused as refused:
        raise stop(str(refused)) from None
    typer.echo(f"user {added} is added, as {role}")


def _password() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        given = sys.stdin.buffer.read(_LONGEST_INPUT).decode()
    except UnicodeDecodeError:
        raise stop("the password on standard input is not UTF-8") from None
    line = given.removesuffix("\n").removesuffix("\r")
    if "\n" in line or "\r" in line:
        raise stop("the password on standard input must be one line")
    return line
