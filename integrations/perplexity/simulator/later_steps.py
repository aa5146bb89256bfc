"""The questions of a turn that come after the customer's words: an action's result to tell, an output to mend.

Only what stands in their marks is read: the words around are ours, and no topic of the script is meant by them.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict

_RESULT = re.compile(r'<untrusted kind="tool_result">\n([^<]*)\n</untrusted>')
_ERRORS = re.compile(r'<untrusted kind="errors">\n([^<]*)\n</untrusted>')
_PREVIOUS = re.compile(r'<untrusted kind="previous_output">\n([^<]*)\n</untrusted>\s*\Z')
_WRONG_FIELD = re.compile(r"^- /metadata/([^/:\s]+)", re.MULTILINE)
_RESULT_CHARACTERS = 600


class AskedRepair(BaseModel):
    """An output that could not be used: the action it asked for, if one can be read, and its fields without fault."""

    model_config = ConfigDict(frozen=True)

    action: str | None = None
    sound: dict[str, Any] = {}


def is_later_step(question: str) -> bool:
    """Whether *question* asks for something else than an answer to the customer's newest words."""
    return told_result(question) is not None or asked_repair(question) is not None


def told_result(question: str) -> str | None:
    """The final words where *question* brings an action's result; None where it does not."""
    found = _RESULT.search(question)
    if found is None:
        return None
    try:
        result = json.loads(found[1])
    except ValueError:  # it was too long, and is cut
        result = found[1]
    told = result.get("body", result) if isinstance(result, dict) else result
    if isinstance(told, dict) and told.get("status") == "confirmed":
        told = {name: value for name, value in told.items() if name != "status"}
    words = _in_words(told)
    return f"Here is the result. {words[:_RESULT_CHARACTERS]}"


def asked_repair(question: str) -> AskedRepair | None:
    """What is to be mended, where *question* asks for that; None where it does not."""
    errors, previous = _ERRORS.search(question), _PREVIOUS.search(question)
    if errors is None or previous is None:
        return None
    output = _object_in(previous[1])
    action, metadata = output.get("action"), output.get("metadata")
    wrong = set(_WRONG_FIELD.findall(errors[1]))
    fields = metadata.items() if isinstance(metadata, dict) else ()
    return AskedRepair(
        action=action if isinstance(action, str) else None,
        sound={name: value for name, value in fields if name not in wrong},
    )


def _object_in(text: str) -> dict[str, Any]:
    """The first JSON object in *text*, or an empty one."""
    for found in re.finditer(r"\{", text):
        try:
            value, _ = json.JSONDecoder().raw_decode(text, found.start())
        except ValueError:
            continue
        return dict(value)
    return {}


def _in_words(value: Any) -> str:
    """JSON as a person reads it."""
    if isinstance(value, dict):
        return " ".join(f"{_name(name)}: {_within(inner)}." for name, inner in value.items()) or "There is nothing."
    return " ".join(_within(value).split())


def _within(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case dict():
            return "; ".join(f"{_name(name).lower()} {_within(inner)}" for name, inner in value.items()) or "none"
        case list():
            return ", ".join(map(_within, value)) or "none"
    return str(value)


def _name(name: str) -> str:
    return name.replace("_", " ").capitalize()
