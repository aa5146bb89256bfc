"""A value that Pydantic refuses, in our words: "NAME: got …; what it accepts"."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.values import masked

_SHOWN_CHARACTERS = 120
"""Of a wrong value; the rest says nothing new."""

_OF_A_NAME = "[key]"
"""How Pydantic says that a dictionary's key is wrong, not its value."""

_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD")
_BESIDE_A_SECRET = ("SID", "NUMBER_ID")
"""On a vendor's page: the secret is pasted with them, or in their place."""

_OF_A_TELEPHONE = re.compile(r"[+0-9 ()./-]{1,20}")

_BOUNDS = ("greater_than_equal", "greater_than", "less_than_equal", "less_than", "finite_number")
_BOUND_WORDS = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}


def in_our_words(message: str) -> str:
    """Of a ValidationError: what one of our own checks said, without what Pydantic puts before it."""
    return message.removeprefix("Value error, ")


def refusal(problem: Any, settings: type[BaseModel]) -> str:
    """One line for *problem*, one of a ValidationError's `errors()`."""
    name, *within = (str(part) for part in problem["loc"])
    setting = name.upper()
    of_a_name = within[-1:] == [_OF_A_NAME]  # which may be the secret, put where its name belongs
    place = f" (at {'.'.join(within)})" if within and not of_a_name and not _is_secret(setting) else ""
    return f"{setting}{place}: got {_shown(setting, problem['input'])}; {_wanted(problem, settings.model_fields[name])}"


def _wanted(problem: Any, field: FieldInfo) -> str:
    """What the setting accepts: our own words where they are better than Pydantic's."""
    kind: str = problem["type"]
    if kind.startswith("bool_"):
        return "0 or 1"
    if kind.startswith(("int_", "float_")) or kind in _BOUNDS:
        return _number(field)
    if kind == "literal_error":
        return f"one of {problem['ctx']['expected']}"
    if kind == "string_unicode":
        return "text in UTF-8"
    if kind in ("string_too_short", "string_too_long"):
        return f"text of {_length(field)} characters"
    if kind == "string_pattern_mismatch":
        return f"text of the form {problem['ctx']['pattern']}"
    return in_our_words(problem["msg"])


def _number(field: FieldInfo) -> str:
    """With the bounds that the setting has."""
    what = "a whole number" if field.annotation is int else "a number"
    bounds = _limits(field)
    told = [f"{word} {bounds[name]:,}" for name, word in _BOUND_WORDS.items() if name in bounds]
    return " ".join([what, *told])


def _length(field: FieldInfo) -> str:
    bounds = _limits(field)
    return f"{bounds.get('min_length', 0)} to {bounds.get('max_length', 'any number of')}"


def _limits(field: FieldInfo) -> dict[str, float]:
    names = (*_BOUND_WORDS, "min_length", "max_length")
    return {name: getattr(limit, name) for limit in field.metadata for name in names if hasattr(limit, name)}


def _shown(setting: str, value: object) -> str:
    """Nothing of a secret."""
    pasted = any(word in setting for word in _BESIDE_A_SECRET) and not _OF_A_TELEPHONE.fullmatch(str(value))
    return "a value that is not shown" if pasted or _is_secret(setting) else shortened(value)


def _is_secret(setting: str) -> bool:
    return any(word in setting for word in _SECRET)


def shortened(value: object) -> str:
    """As it stands in a line: an address without its password, the beginning of what is long; of JSON only its kind,
    for any part of it may hold a secret."""
    if isinstance(value, dict | list) or (isinstance(value, str) and value.lstrip()[:1] in ("{", "[")):
        return "JSON that is not shown"
    text = repr(masked(value) if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
