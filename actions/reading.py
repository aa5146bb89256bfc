"""Reads one raw output of the model and finds its verdict: `text`, `action` or `invalid`, with the reasons.

The order: leave out what is said to nobody (`machinery`), find the outermost JSON objects (`objects`), tell which were
meant as an action (`suspicion`), see whether exactly one is all there is, then check it (`validation`, by the
registry). Pure, total, and linear in its input.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from actions.citations import CITATION
from actions.limits import ReadingLimits
from actions.machinery import heard
from actions.objects import ObjectScanner
from actions.prompt_pack import PACK_VERSION
from actions.registry import Registry
from actions.relaxed_json import RelaxedObject, Repeated
from actions.suspicion import Judgement, Meant, gap_is_meant, judge, names_known
from actions.validation import model_errors
from actions.wordless import says_nothing
from schemas.actions import ActionRequest, ParsedOutput
from schemas.turns import ErrorCode, OutputError, Verdict
from schemas.visible import shows_something

_SPACE = r"[\s\ufeff]*+"
_BEFORE = re.compile(rf"{_SPACE}(?P<fence>```[ \t]*(?:json)?[ \t]*\r?\n{_SPACE})?", re.IGNORECASE)
_MARKS = rf"{_SPACE}(?:{CITATION}{_SPACE})*+"
_AFTER = re.compile(rf"{_MARKS}(?P<fence>```)?{_MARKS}")
_THOUGHTS = "left out: thoughts, or marks of the model's own"
_PACK = re.compile(rf'"pack"\s{{0,9}}:\s{{0,9}}"(?P<pack>{PACK_VERSION.pattern})"')
_FORM = re.compile(rf"(?:{_MARKS})?(?:```[ \t]*(?:json)?)?{_MARKS}", re.IGNORECASE)


@dataclass(frozen=True)
class _Suspect:
    """A whole object that was meant as an action."""

    found: RelaxedObject
    judgement: Judgement


def read_output(
    output: str, registry: Registry, *, lenient: bool | None = None, limits: ReadingLimits | None = None
) -> ParsedOutput:
    """The verdict on *output*. *lenient* None: as the registry's assistant is set. Never raises."""
    limits = limits or ReadingLimits()
    said = heard(output)
    parsed = _read(said.text, registry, lenient=lenient, limits=limits)
    if parsed.verdict is not Verdict.INVALID and said.called:
        message = "a call in another notation; an action is exactly one JSON object and nothing else"
        return _invalid([OutputError(message=message, code=ErrorCode.NOT_WHOLE)], limits)
    if parsed.verdict is Verdict.TEXT and said.thought and not shows_something(said.text):
        message = "nothing but thoughts; nothing of it is for the customer"
        return _invalid([OutputError(message=message, code=ErrorCode.BLANK)], limits)
    return parsed.model_copy(update={"notes": [*parsed.notes, _THOUGHTS]}) if said.thought else parsed


def _read(output: str, registry: Registry, *, lenient: bool | None, limits: ReadingLimits) -> ParsedOutput:
    """*output*: what is said to somebody."""
    if len(output) > limits.output_characters:
        return _too_long(output, registry, limits)
    scanner = ObjectScanner(limits)
    scanner.advance(output, final=True)
    suspects = list(_suspects(output, scanner, registry))
    loose = _loose_mentions(output, scanner, registry)
    if not suspects and not loose:
        return _read_text(output, limits)
    if len(suspects) != 1 or loose:
        parsed = _invalid(_wrong_shape(suspects, scanner, loose=loose), limits)
    else:
        accept_prose = registry.config.lenient if lenient is None else lenient
        accept_prose = accept_prose and scanner.open is None and len(scanner.whole) == len(scanner.found)
        parsed = _read_request(suspects[0], output, registry, limits, accept_prose=accept_prose)
    pack = _pack_of(each.judgement.value for each in suspects) if suspects else _pack_written(output)
    return parsed.model_copy(update={"pack": pack})


def _read_text(output: str, limits: ReadingLimits) -> ParsedOutput:
    if not output or not says_nothing(output):
        return ParsedOutput(verdict=Verdict.TEXT, text=output)
    message = "it shows the customer nothing; answer in words"
    return _invalid([OutputError(message=message, code=ErrorCode.NOTHING_SAID)], limits)


def _pack_of(objects: Iterable[dict[str, Any]]) -> str | None:
    """The version that the first object which names one echoes: what is wrong with an output may well come of it.

    Only as a field of its own, in the form of a version: a parameter may have that name, and hold a customer's words.
    """
    named = (each.get("pack") for each in objects)
    values = (value for each in named for value in (each if isinstance(each, Repeated) else [each]))
    stripped = (each.strip() for each in values if isinstance(each, str))
    return next((each for each in stripped if PACK_VERSION.fullmatch(each)), None)


def _pack_written(output: str) -> str | None:
    """The same, where no object could be read: in one that is open, and in none inside it."""
    depth = position = 0
    for match in _PACK.finditer(output):
        depth += _opened(output[position : match.start()])
        if depth == 1:
            return match["pack"]
        position = match.end()
    return None


def _opened(written: str) -> int:
    """How many objects more are open behind *written*. A brace inside quotes is one of the words."""
    outside = written.replace(r"\\", "").replace(r"\"", "").split('"')[::2]
    return sum(part.count("{") - part.count("}") for part in outside)


def stands_alone(output: str, start: int, end: int) -> bool:
    """Whether *output* has nothing around start…end but white space, one whole fence and citation marks behind."""
    before = _BEFORE.fullmatch(output, 0, start)
    after = _AFTER.fullmatch(output, end)
    return before is not None and after is not None and bool(before["fence"]) == bool(after["fence"])


def is_formal(gap: str) -> bool:
    """Whether *gap* is nothing but white space, half a fence and citation marks."""
    return _FORM.fullmatch(gap) is not None


def _suspects(output: str, scanner: ObjectScanner, registry: Registry) -> Iterator[_Suspect]:
    for found in scanner.whole:
        judgement = judge(found.value, registry.known)
        alone = judgement.meant is Meant.IF_ALONE and stands_alone(output, found.start, found.end)
        if judgement.meant is Meant.YES or alone:
            yield _Suspect(found, judgement)


def _loose_mentions(output: str, scanner: ObjectScanner, registry: Registry) -> bool:
    """Whether anything outside of whole objects was meant as an action."""
    if scanner.open is not None and {"reason", "metadata"} <= scanner.open.keys:
        return True
    if any(names_known(each.value, registry.known) for each in scanner.unfinished):
        return True
    return any(
        gap_is_meant(output[start:end], registry.known, first=start == 0, last=end == len(output))
        for start, end in scanner.gaps(output)
    )


def _wrong_shape(suspects: list[_Suspect], scanner: ObjectScanner, *, loose: bool) -> list[OutputError]:
    errors = []
    if len(suspects) > 1:
        message = f"{len(suspects)} actions in one answer; at most one is allowed"
        errors.append(OutputError(message=message, code=ErrorCode.SEVERAL_ACTIONS))
    if loose and scanner.open is not None:
        errors.append(OutputError(message="the JSON object is cut off: it is not closed", code=ErrorCode.CUT_OFF))
    problems = [each.problem for each in scanner.found if each.problem is not None]
    if loose:
        errors += problems
    if loose and not errors:
        message = "an action was begun, but not as one whole JSON object"
        errors.append(OutputError(message=message, code=ErrorCode.NOT_WHOLE))
    return errors


def _read_request(
    suspect: _Suspect, output: str, registry: Registry, limits: ReadingLimits, *, accept_prose: bool
) -> ParsedOutput:
    found, path = suspect.found, suspect.judgement.path
    notes = [f"mended: {what}" for what in found.mended]
    errors = list(found.faults)
    if path:
        message = "the action stands inside another object; it must be the whole"
        errors.append(OutputError(path=path, message=message, code=ErrorCode.NOT_ALONE))
    if not stands_alone(output, found.start, found.end):
        if accept_prose:
            notes.append("overlooked: text around the action")
        else:
            message = "there is other text around the JSON object; it must stand alone"
            errors.append(OutputError(message=message, code=ErrorCode.NOT_ALONE))
    if not path:
        errors += request_errors(found.value, registry)
    if errors:
        return _invalid(errors, limits, notes)
    return ParsedOutput(verdict=Verdict.ACTION, action=ActionRequest.model_validate(found.value), notes=notes)


def request_errors(value: dict[str, Any], registry: Registry) -> list[OutputError]:
    """What is wrong with a JSON object as a request for an action; empty if it is one."""
    errors = model_errors(ActionRequest, value)
    name, metadata = value.get("action"), value.get("metadata", {})
    if isinstance(name, str) and name not in registry.known:
        message = _unknown_name(name, registry)
        errors.append(OutputError(path="/action", message=message, code=ErrorCode.UNKNOWN_ACTION))
    elif isinstance(name, str) and isinstance(metadata, dict):
        errors += registry.metadata_errors(name, metadata)
    return errors


def _unknown_name(name: str, registry: Registry) -> str:
    close = difflib.get_close_matches(name[:64].casefold(), sorted(registry.enabled), n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    return f"unknown action; {hint}there are: {', '.join(sorted(registry.enabled)) or 'none'}"


def _too_long(output: str, registry: Registry, limits: ReadingLimits) -> ParsedOutput:
    """Such an output is never an action; it is invalid if it mentions one."""
    if not gap_is_meant(output, registry.known, first=True, last=True):
        return ParsedOutput(verdict=Verdict.TEXT, text=output)
    message = f"an action in an answer of more than {limits.output_characters} characters"
    parsed = _invalid([OutputError(message=message, code=ErrorCode.OUTPUT_TOO_LONG)], limits)
    return parsed.model_copy(update={"pack": _pack_written(output)})


def _invalid(errors: list[OutputError], limits: ReadingLimits, notes: list[str] | None = None) -> ParsedOutput:
    return ParsedOutput(verdict=Verdict.INVALID, errors=errors[: limits.errors], notes=notes or [])
