"""Checks a whole JSON object that was meant as an action: name, reason, metadata. Errors point to the part.

Messages name rules and fields, never values: they are stored, shown to operators and quoted back to the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaViolation
from pydantic import BaseModel, ValidationError
from referencing import Registry as References

from actions.metadata_schemas import closed, subschemas
from actions.relaxed_json import escaped
from schemas.turns import ErrorCode, OutputError

MAX_ERRORS = 20
_MODEL_CODES = {
    "missing": ErrorCode.MISSING,
    "extra_forbidden": ErrorCode.UNKNOWN_FIELD,
    "string_pattern_mismatch": ErrorCode.BLANK,
    "string_too_short": ErrorCode.TOO_SHORT,
    "string_too_long": ErrorCode.TOO_LONG,
    "literal_error": ErrorCode.NOT_ALLOWED,
}
_SCHEMA_CODES = {
    "type": ErrorCode.WRONG_TYPE,
    "enum": ErrorCode.NOT_ALLOWED,
    "const": ErrorCode.NOT_ALLOWED,
    "pattern": ErrorCode.WRONG_PATTERN,
    **dict.fromkeys(("minLength", "minItems", "minProperties", "minContains"), ErrorCode.TOO_SHORT),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties", "maxContains"), ErrorCode.TOO_LONG),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), ErrorCode.OUT_OF_RANGE),
}
_TYPES = {"object": "an object", "array": "a list", "integer": "a whole number", "null": "null"}


def pointer(parts: Iterable[object], under: str = "") -> str:
    """A JSON pointer (RFC 6901)."""
    return under + "".join(f"/{escaped(str(part))}" for part in parts)


def model_errors(model: type[BaseModel], value: Mapping[str, Any], under: str = "") -> list[OutputError]:
    """What *model* has against *value*, at most MAX_ERRORS."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        return [
            OutputError(
                path=pointer(each["loc"], under),
                message=_said(each["type"], each["msg"]),
                code=_code_of(each["type"]),
            )
            for each in problems[:MAX_ERRORS]
        ]
    return []


def schema_errors(schema: dict[str, Any], value: Mapping[str, Any], under: str = "") -> list[OutputError]:
    """What an administrator's *schema* has against *value*; the schema was checked when it was saved."""
    validator = Draft202012Validator(closed(schema), registry=References())
    violations = sorted(validator.iter_errors(value), key=lambda each: [str(part) for part in each.absolute_path])
    errors = [error for violation in violations[:MAX_ERRORS] for error in _violations(violation, under)]
    return list({(error.path, error.message): error for error in errors}.values())[:MAX_ERRORS]


def _said(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown field"
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch":
        return "must not be blank"
    return message[:1].lower() + message[1:]


def _code_of(kind: str) -> ErrorCode:
    """Of what pydantic calls *kind*."""
    if kind.endswith("_type"):
        return ErrorCode.WRONG_TYPE
    return _MODEL_CODES.get(kind, ErrorCode.INVALID)


def _violations(violation: SchemaViolation, under: str) -> Iterable[OutputError]:
    path = pointer(violation.absolute_path, under)
    rule: Any = violation.validator_value
    instance: Any = violation.instance
    match violation.validator:
        case "required":
            missing = [name for name in rule if name not in instance]
            return [_at(path, name, "is missing", ErrorCode.MISSING) for name in missing]
        case "additionalProperties" | "unevaluatedProperties":
            unknown = _unknown(violation.schema, instance)
            return [_at(path, name, "unknown field", ErrorCode.UNKNOWN_FIELD) for name in unknown]
        case keyword:
            code = _SCHEMA_CODES.get(str(keyword), ErrorCode.INVALID)
            return [OutputError(path=path, message=_rule_said(str(keyword), rule), code=code)]


def _at(path: str, name: str, message: str, code: ErrorCode) -> OutputError:
    return OutputError(path=f"{path}/{escaped(name)}", message=message, code=code)


def _unknown(schema: object, instance: dict[str, Any]) -> list[str]:
    parts = subschemas(schema) if isinstance(schema, dict) else []
    known = {name for _, part in parts for name in part.get("properties", {})}
    return [name for name in instance if name not in known] or list(instance)


def _rule_said(keyword: str, rule: Any) -> str:
    match keyword:
        case "type":
            names = rule if isinstance(rule, list) else [rule]
            return "must be " + " or ".join(_TYPES.get(name, f"a {name}") for name in names)
        case "enum":
            return "must be one of " + ", ".join(str(each) for each in rule)[:200]
        case "const":
            return f"must be {str(rule)[:200]}"
        case "minLength" | "maxLength":
            return f"must have at {'least' if keyword == 'minLength' else 'most'} {rule} characters"
        case "minimum" | "maximum":
            return f"must be at {'least' if keyword == 'minimum' else 'most'} {rule}"
        case "minItems" | "maxItems":
            return f"must have at {'least' if keyword == 'minItems' else 'most'} {rule} items"
        case "pattern":
            return f"must match {rule}"
        case _:
            return f"does not fit the schema's {keyword}"
