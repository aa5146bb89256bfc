"""Administrators' JSON Schemas: checked when they are saved, so that checking metadata is always safe and quick.

Allowed is a closed, local, bounded part of Draft 2020-12: an object at the root, `$ref` only to `#/$defs/…` and never
in a circle, no keyword that fetches, renames or re-evaluates, patterns by `actions.patterns`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from actions.patterns import pattern_problem
from actions.relaxed_json import escaped
from schemas.actions import ConfigurationProblem

MAX_BYTES = 32_768
MAX_DEPTH = 16
MAX_SUBSCHEMAS = 1_000
"""Counted with every `$ref` written out: the work for one value."""
MAX_UNIQUE_ITEMS = 200
"""`uniqueItems` compares all pairs."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFUSED = frozenset(
    [
        *("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$vocabulary"),
        *("patternProperties", "unevaluatedProperties", "unevaluatedItems", "dependencies"),
    ]
)
_HOLDS_ONE = frozenset(
    ["items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else", "contentSchema"]
)
_HOLDS_LIST = frozenset(["allOf", "anyOf", "oneOf", "prefixItems"])
_HOLDS_NAMED = frozenset(["properties", "$defs", "dependentSchemas"])

Schema = dict[str, Any]


def schema_problems(schema: object) -> list[ConfigurationProblem]:
    """What keeps *schema* from being saved, with JSON pointers into it; empty if it is fine. Never raises."""
    if not isinstance(schema, dict):
        return [ConfigurationProblem(message="must be a JSON object with a JSON Schema")]
    size = _size_problem(schema)
    if size is not None:
        return [ConfigurationProblem(message=size)]
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = "".join(f"/{escaped(str(part))}" for part in error.absolute_path)
        return [ConfigurationProblem(path=path, message=f"no valid JSON Schema: {error.message[:200]}")]
    problems = [*_root_problems(schema), *_subschema_problems(schema)]
    return problems or _expansion_problems(schema)


def closed(schema: Schema) -> Schema:
    """*schema* with unknown fields as errors, also where `allOf` and the like bring in the known ones."""
    if schema.get("additionalProperties") is False:
        return schema
    return {**schema, "unevaluatedProperties": False}


def _size_problem(schema: Schema) -> str | None:
    if _deeper_than(schema, 2 * MAX_DEPTH):
        return f"nested deeper than {MAX_DEPTH} schemas"
    try:
        size = len(json.dumps(schema, ensure_ascii=False, allow_nan=False).encode())
    except (TypeError, ValueError):
        return "holds something that is not JSON"
    return f"has {size} bytes; at most {MAX_BYTES} are taken" if size > MAX_BYTES else None


def _deeper_than(value: object, depth: int) -> bool:
    level = [value]
    for _ in range(depth + 1):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if len(level) > MAX_BYTES:
            return True
    return bool(level)


def _root_problems(schema: Schema) -> Iterator[ConfigurationProblem]:
    if schema.get("type") != "object":
        yield ConfigurationProblem(path="/type", message='must be "object": metadata is an object')
    if schema.get("$schema", DIALECT).rstrip("#") != DIALECT:
        yield ConfigurationProblem(path="/$schema", message="only Draft 2020-12 is understood")
    if schema.get("additionalProperties", False) is not False:
        yield ConfigurationProblem(path="/additionalProperties", message="must be false: unknown fields are errors")


def _subschema_problems(schema: Schema) -> Iterator[ConfigurationProblem]:
    for path, subschema in subschemas(schema):
        for keyword in sorted(_REFUSED & subschema.keys()):
            yield ConfigurationProblem(path=f"{path}/{keyword}", message=f"{keyword} is not allowed")
        yield from _reference_problems(schema, path, subschema)
        longest = subschema.get("maxLength")
        if "pattern" in subschema and (why := pattern_problem(subschema["pattern"], longest)):
            yield ConfigurationProblem(path=f"{path}/pattern", message=why)
        if subschema.get("uniqueItems") and not subschema.get("maxItems", MAX_UNIQUE_ITEMS + 1) <= MAX_UNIQUE_ITEMS:
            message = f"uniqueItems needs maxItems of at most {MAX_UNIQUE_ITEMS}"
            yield ConfigurationProblem(path=f"{path}/uniqueItems", message=message)


def _reference_problems(root: Schema, path: str, subschema: Schema) -> Iterator[ConfigurationProblem]:
    reference = subschema.get("$ref")
    if reference is not None and target_of(root, reference) is None:
        message = "may only point to a definition of this schema: #/$defs/name"
        yield ConfigurationProblem(path=f"{path}/$ref", message=message)


def target_of(root: Schema, reference: object) -> Schema | None:
    """The definition of *root* that a `$ref` points to; None for one that points elsewhere."""
    if not isinstance(reference, str):
        return None
    name = reference.removeprefix("#/$defs/")
    target = root.get("$defs", {}).get(name.replace("~1", "/").replace("~0", "~"))
    return target if name != reference and "%" not in name and isinstance(target, dict) else None


def subschemas(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """*schema* and every schema inside it, with its pointer. `_size_problem` bounds the depth."""
    yield path, schema
    for step, inner in _children(schema):
        yield from subschemas(inner, path + step)


def _children(schema: Schema) -> Iterator[tuple[str, Schema]]:
    for keyword, value in schema.items():
        if keyword in _HOLDS_ONE:
            named: list[tuple[str, object]] = [(f"/{keyword}", value)]
        elif keyword in _HOLDS_LIST:
            named = [(f"/{keyword}/{index}", inner) for index, inner in enumerate(value)]
        elif keyword in _HOLDS_NAMED:
            named = [(f"/{keyword}/{escaped(name)}", inner) for name, inner in value.items()]
        else:
            continue
        yield from ((step, inner) for step, inner in named if isinstance(inner, dict))


def _expansion_problems(schema: Schema) -> list[ConfigurationProblem]:
    """Whether the schema, with every reference written out, is endless or too large."""
    sizes: dict[int, int] = {}

    def size(part: Schema, inside: tuple[int, ...]) -> int:
        if id(part) in inside:
            raise RecursionError
        if id(part) not in sizes:
            around = (*inside, id(part))
            parts = [inner for step, inner in _children(part) if not step.startswith("/$defs/")]
            if "$ref" in part and (target := target_of(schema, part["$ref"])) is not None:
                parts.append(target)
            sizes[id(part)] = 1 + sum(size(each, around) for each in parts)
        return sizes[id(part)]

    try:
        total = size(schema, ())
    except RecursionError:
        return [ConfigurationProblem(path="/$defs", message="a definition refers to itself, directly or by others")]
    if total <= MAX_SUBSCHEMAS:
        return []
    return [
        ConfigurationProblem(
            message=f"comes to {total} schemas once references are written out; at most {MAX_SUBSCHEMAS}"
        )
    ]
