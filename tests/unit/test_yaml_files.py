"""The file of `agent assistant apply`: what is no JSON, or said twice, is told with its place, and never a crash."""

from __future__ import annotations

from typing import Any

import pytest

from actions.registry import configuration_problems
from activities.action_handlers import configuration_errors
from cli.yaml_files import Unusable, read_yaml
from schemas.actions import AssistantActions

WRONG = {
    "one key twice": ("a: {b: 1, b: 2}", "/a/b: is there twice (line 1)"),
    "in another spelling": ('a: 1\n"a": 2', "/a: is there twice (line 2)"),
    "a list twice": ("a:\n  b: [1]\n  b: []", "/a/b: is there twice (line 3)"),
    "a circle of mappings": ("a: &a {b: *a}", "/a/b: holds itself (line 1)"),
    "a circle of lists": ("a: &a [*a]", "/a/0: holds itself (line 1)"),
    "a circle by a merge": ("a: &a {<<: *a}", "/a: holds itself"),
    "no whole number": ('a: !!int "x"', "/a: 'x' is no number (line 1)"),
    "no number at all": ('a: !!int ""', "/a: '' is no number (line 1)"),
    "no fraction": ('a: !!float "x"', "/a: 'x' is no number (line 1)"),
    "no yes or no": ('a: !!bool "x"', "/a: !!bool is no kind of value here (line 1)"),
    "no date": ("a: 1901-13-45", "/a: 1901-13-45 is a date: put it in quotes to mean text (line 1)"),
    "a date": ("a: 1901-11-26", "/a: 1901-11-26 is a date: put it in quotes to mean text (line 1)"),
    "a forced date": ('a: !!timestamp "x"', "/a: x is a date: put it in quotes to mean text (line 1)"),
    "bytes": ('a: !!binary "AAAA"', "/a: !!binary is no kind of value here (line 1)"),
    "bad bytes": ('a: !!binary "x"', "/a: !!binary is no kind of value here (line 1)"),
    "a set": ("a: !!set {b, c}", "/a: !!set is no kind of value here (line 1)"),
    "pairs": ("a: !!pairs [b: 1]", "/a: !!pairs is no kind of value here (line 1)"),
    "a kind of ours": ("a: !mine b", "/a: !mine is no kind of value here (line 1)"),
    "Python": ('a: !!python/object/apply:os.system ["x"]', "/a: !!python/object/apply:os.system is no kind of value"),
    "a forced nothing": ('a: !!null "x"', "/a: !!null is no kind of value here (line 1)"),
    "not a number": ("a: .nan", "/a: .nan is no JSON value (line 1)"),
    "endless": ("a: -.inf", "/a: -.inf is no JSON value (line 1)"),
    "endless by size": ("a: 1.0e+999", "/a: 1.0e+999 is no JSON value (line 1)"),
    "5,000 digits": ("a: " + "9" * 5_000, "/a: a number may have at most 300 characters (line 1)"),
    "a number as key": ("a: {1: b}", "/a: the key 1 is no text: put it in quotes (line 1)"),
    "yes as key": ("a: {yes: b}", "/a: the key yes is no text: put it in quotes (line 1)"),
    "nothing as key": ("a: {~: b}", "/a: the key ~ is no text: put it in quotes (line 1)"),
    "a list as key": ("a: {[1]: b}", "/a: a key is no text (line 1)"),
    "a mapping as key": ("? {a: 1}\n: b", "/: a key is no text (line 1)"),
    "NUL": ('a: ["b", "c\\0d"]', "/a/1: must not hold a NUL character (line 1)"),
    "NUL in a key": ('a: {"c\\0d": 1}', "/a: must not hold a NUL character (line 1)"),
    "half a character": ('a: "\\ud800"', "/a: must not hold a lone surrogate (line 1)"),
    "a merge of text": ("a: {<<: b}", "/a: << takes mappings alone (line 1)"),
    "deep": ("a: " + "[" * 100 + "]" * 100, "is nested deeper than 64 (line 1)"),
    "very deep": ("a: " + "[" * 3_000, "it is nested too deeply"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document"),
    "no YAML": ("a: [", "while parsing a flow node"),
    "unknown anchor": ("a: *b", "found undefined alias"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line(name: str) -> None:
    text, told = WRONG[name]

    with pytest.raises(Unusable) as raised:
        read_yaml(text)

    assert told in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 2_000


def test_few_lines_do_not_stand_for_millions_of_values() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    with pytest.raises(Unusable, match="more than 100000 values"):
        read_yaml("\n".join(lines))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# only words", None),
        ("0", 0),
        ("{}", {}),
        (
            "a: [1, 0x10, 1_000, -2.5, 1e3, yes, off, ~, 'x', y]",
            {"a": [1, 16, 1000, -2.5, "1e3", True, False, None, "x", "y"]},
        ),
        ("a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: &a {b: 1}\nd: {<<: [*a, {b: 2, e: 3}]}", {"a": {"b": 1}, "d": {"b": 1, "e": 3}}),
        ("a: &a [x]\nb: *a", {"a": ["x"], "b": ["x"]}),
        ("a: ''\nb: |\n  c\n  d\n'1': ß", {"a": "", "b": "c\nd\n", "1": "ß"}),
    ],
)
def test_what_json_could_say_is_read(text: str, value: Any) -> None:
    assert read_yaml(text) == value


@pytest.mark.parametrize("handler", ["api_call", "handoff"])
def test_an_endpoint_that_is_no_name_is_told(handler: str) -> None:
    own = {
        "name": "a1",
        "description": "A",
        "handler": handler,
        "metadata_schema": {"type": "object"},
        "settings": {"endpoint": ["pay"]},
        "safe": True,
        "safe_because": "x",
    }
    config = AssistantActions.model_validate({"custom": [own], "confirmations": {"a1": "none"}})

    assert configuration_problems(config) == []
    assert [each.path for each in configuration_errors(config)] == ["/custom/0/settings/endpoint"] * (
        handler == "api_call"
    )
