"""Values that a command was given and that cannot be, in our words.

An option or argument that is a port, a name, a path or an address has the callback of its kind: PORT, NAME, PATH,
ADDRESS.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import AfterValidator, TypeAdapter, ValidationError
from typer.core import TyperGroup

from cli.surroundings import stop
from config import settings, values
from config.refusals import in_our_words, shortened
from schemas.requests import AgentName


class Commands(TyperGroup):
    """All of `agent`: what Typer says of an argument's value is told without Pydantic's own words before it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = in_our_words(error.message)
            raise


def trouble_with(value: object, kind: Any) -> str | None:
    """Why *value* is none of *kind*, a type of Pydantic's; None if it is one."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        return refusals(error)[0][1]
    return None


def refusals(error: ValidationError) -> list[tuple[str, str]]:
    """Each wrong place, as in a JSON pointer, and why."""
    return [(f"/{'/'.join(map(str, each['loc']))}", in_our_words(each["msg"])) for each in error.errors()]


def _checked(kind: Any, wanted: str) -> Callable[[typer.CallbackParam, Any], Any]:
    """The callback that ends the program with one line where what was given is none of *kind*; nothing, where nothing
    need be given, is fine."""

    def check(param: typer.CallbackParam, value: Any) -> Any:
        if value in (None, "") and not param.required:
            return value
        return _as(kind, value, _name_of(param), wanted)

    return check


def _as(kind: Any, value: object, name: str, wanted: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        raise stop(f"{name}: got {shortened(str(value) if isinstance(value, Path) else value)}; {wanted}") from None


def _name_of(param: typer.CallbackParam) -> str:
    """As a user writes it: `--port`, or an argument's `NAME`."""
    return max(param.opts, key=len) if param.param_type_name == "option" else str(param.name).upper()


NAME_WANTED = "give a name of 1 to 200 characters in UTF-8, on one line, of which something can be seen"

PORT = _checked(settings.Port, "give a port from 1 to 65,535")
NAME = _checked(AgentName, NAME_WANTED)
PATH = _checked(
    Annotated[Path, AfterValidator(values.folder)],
    "give a path in UTF-8 without line breaks and control characters, no part of it longer than 255 bytes",
)
ADDRESS = _checked(
    Annotated[str, AfterValidator(values.http_url)], "give an http:// or https:// address, like http://127.0.0.1:8000"
)


def user_name() -> str:
    """Who gives the command, for the audit: LOGNAME, else as the machine knows them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a line in /etc/passwd
        raise stop("LOGNAME: not set, and this machine has no name for you; set it to yours") from None
    return str(_as(AgentName, name, "LOGNAME", NAME_WANTED))


def actor() -> str:
    """The same, as entries of the audit name a command's user."""
    return f"user {user_name()}"
