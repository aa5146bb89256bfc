"""Values that a command was given and that cannot be, in our words."""

from __future__ import annotations

from typing import Any

import typer
from pydantic import TypeAdapter, ValidationError
from typer.core import TyperGroup

from config.refusals import in_our_words


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
