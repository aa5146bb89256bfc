"""`agent user add|set|list|disable|password`: accounts of the people who work with the system.

The password is never an argument.
"""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any

import typer

from cli.plain import plain
from cli.surroundings import on_database, stop
from cli.values import NAME, NAME_WANTED, actor, trouble_with
from config.refusals import shortened
from schemas.access import Role
from schemas.requests import AgentName

app = typer.Typer(help="People who work with the system.", no_args_is_help=True)

_LONGEST_INPUT = 10_000
"""Characters read from standard input; more than any password may have."""
_DAY = "(mon|tue|wed|thu|fri|sat|sun)"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"


def _of_form(pattern: str, wanted: str) -> Any:
    """The callback of an option whose every value is of that form."""

    def check(param: typer.CallbackParam, value: Any) -> Any:
        for each in value if isinstance(value, list) else [value]:
            if each is not None and not re.fullmatch(pattern, each):
                raise stop(f"{max(param.opts, key=len)}: got {plain(str(each))[:100]!r}; give {wanted}")
        return value

    return check


def _names(param: typer.CallbackParam, value: list[str] | None) -> list[str] | None:
    for each in value or []:
        if trouble_with(each, AgentName):
            raise stop(f"{max(param.opts, key=len)}: got {shortened(each)}; {NAME_WANTED}")
    return value


Email = Annotated[str, typer.Argument(help="The name to sign in with.")]
Name = typer.Option(callback=NAME, help="As colleagues and customers may see it.")
Team = Annotated[
    list[str] | None,
    typer.Option(callback=_names, help="A team of theirs; repeat it for several."),
]
Slack = Annotated[
    str | None,
    typer.Option(callback=_of_form(r"[UW][A-Z0-9]{1,30}", "their id in Slack, like U0ANN"), help="Their id there."),
]
WhatsApp = Annotated[
    str | None,
    typer.Option(callback=_of_form(r"[0-9]{5,15}", "a number's digits, like 15550001111"), help="Their number."),
]
Language = Annotated[
    str | None,
    typer.Option(callback=_of_form(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", "a language, like en")),
]
Hours = Annotated[
    str | None,
    typer.Option(
        callback=_of_form(f"{_DAY}(-{_DAY})? {_TIME}-{_TIME}", "days and times, like 'mon-fri 09:00-18:00'"),
        help="When they work, like 'mon-fri 09:00-18:00'.",
    ),
]


@app.command()
def add(
    email: Email,
    role: Annotated[Role, typer.Option(help="What they may do.")],
    name: Annotated[str, Name] = "",
    team: Team = None,
    slack: Slack = None,
    whatsapp: WhatsApp = None,
    language: Language = None,
    hours: Hours = None,
) -> None:
    """Add a user, who signs in at /dashboard/login. Their password is asked here, or read as a line from a pipe."""
    from storage.users import Contact, UserRefused, Users, check_password, checked_email

    contact = Contact(slack=slack, whatsapp=whatsapp, language=language, hours=hours)
    try:
        checked_email(email)  # before anybody types a password in vain
        password = _password()
        check_password(password)
        who = actor()
        added = on_database(
            lambda database, _: Users(database).add(
                email, name=name, role=role, password=password, actor=who, teams=team or (), contact=contact
            )
        )
    except UserRefused as refused:
        raise stop(str(refused)) from None
    typer.echo(f"user {added} is added, as {role}")


@app.command("set")
def change(
    email: Email,
    role: Annotated[Role | None, typer.Option(help="What they may do.")] = None,
    name: Annotated[str, Name] = "",
    team: Team = None,
    no_teams: Annotated[bool, typer.Option("--no-teams", help="They are in no team.")] = False,
    slack: Slack = None,
    whatsapp: WhatsApp = None,
    language: Language = None,
    hours: Hours = None,
    away: Annotated[bool | None, typer.Option("--away/--here", help="Whether they are there.")] = None,
    enabled: Annotated[bool, typer.Option("--enabled", help="They sign in again, after `disable`.")] = False,
) -> None:
    """Change what is named of a user; all else stays. It is in force at once, also for who is signed in."""
    from storage.users import Changes, Users

    named: dict[str, Any] = {"role": role, "name": name or None, "slack": slack, "whatsapp": whatsapp, "away": away}
    named |= {"language": language, "hours": hours, "teams": [] if no_teams else sorted(set(team)) if team else None}
    named |= {"disabled": False if enabled else None}
    changes = Changes(**{key: value for key, value in named.items() if value is not None})
    address, who = _address(email), actor()
    if not on_database(lambda database, _: Users(database).set(address, changes, actor=who)):
        raise _nobody(address)
    typer.echo(f"user {address} is changed")


@app.command("list")
def show_list() -> None:
    """Print all users, one a line; those that are disabled come last."""
    from storage.users import Users

    for user in on_database(lambda database, _: Users(database).all()):
        state = "disabled" if user.disabled_at else "away" if user.away else ""
        parts = (user.email, user.role, ",".join(user.teams), plain(user.name), state)
        typer.echo("  ".join(part for part in parts if part))


@app.command()
def disable(email: Email) -> None:
    """Let somebody sign in no more, and end their sessions. What they did stays theirs."""
    from storage.users import Users

    address, who = _address(email), actor()
    if not on_database(lambda database, _: Users(database).disable(address, actor=who)):
        raise _nobody(address)
    typer.echo(f"user {address} is disabled")


@app.command("password")
def set_password(email: Email) -> None:
    """Give somebody a new password, asked as for `add`. Whoever is signed in under it has to do so anew."""
    from storage.users import UserRefused, Users, check_password

    address, who = _address(email), actor()
    password = _password()
    try:
        check_password(password)
        known = on_database(lambda database, _: Users(database).set_password(address, password, actor=who))
    except UserRefused as refused:
        raise stop(str(refused)) from None
    if not known:
        raise _nobody(address)
    typer.echo(f"user {address} has a new password")


def _address(email: str) -> str:
    from storage.users import UserRefused, checked_email

    try:
        return checked_email(email)
    except UserRefused as refused:
        raise stop(str(refused)) from None


def _nobody(address: str) -> typer.Exit:
    return stop(f"there is no user {address}")


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
