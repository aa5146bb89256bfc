"""Each function, view, trigger and table of the database is defined in one place: the text that is read is in force."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from storage.sql_files import FOLDER, sql_files

_ROOT = FOLDER.parent
_CREATE = re.compile(
    r"\bCREATE\s+(?P<again>OR\s+REPLACE\s+)?(?:(?:UNLOGGED|CONSTRAINT|MATERIALIZED|RECURSIVE)\s+)*"
    r"(?P<kind>FUNCTION|PROCEDURE|VIEW|TRIGGER|TABLE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>\w+)",
    re.I,
)
_MADE_BY_ALEMBIC = re.compile(r"op\.create_table\(\s*\"(?P<name>\w+)\"")
_TABLE_OF_TRIGGER = re.compile(r"^CREATE OR REPLACE TRIGGER \w+ [^;]*? ON (\w+)", re.M)
_LONGEST = 120
_SOURCES = sorted([*_ROOT.rglob("*.py"), *_ROOT.rglob("*.sql")])


def defined_in(source: str) -> list[tuple[str, str]]:
    """The kind and the name of each thing that *source* defines."""
    created = [(found["kind"].upper(), found["name"]) for found in _CREATE.finditer(source)]
    return created + [("TABLE", found["name"]) for found in _MADE_BY_ALEMBIC.finditer(source)]


def test_nothing_is_defined_twice() -> None:
    defined = Counter(each for path in _SOURCES for each in defined_in(path.read_text()))

    assert len(defined) > 80
    assert [each for each, times in defined.items() if times > 1] == []


def test_the_map_of_the_functions_names_all_of_them() -> None:
    told = set(re.findall(r"\w+", (FOLDER / "README.md").read_text()))
    defined = {
        name for path in FOLDER.rglob("*.sql") for kind, name in defined_in(path.read_text()) if kind == "FUNCTION"
    }

    assert len(defined) > 60
    assert defined - told == set()


def test_tables_are_made_by_migrations_and_all_else_stands_in_one_folder() -> None:
    elsewhere = [
        (str(path.relative_to(_ROOT)), kind, name)
        for path in _SOURCES
        for kind, name in defined_in(path.read_text())
        if (kind == "TABLE") is (FOLDER in path.parents)
    ]

    assert elsewhere == []


_FILES = {path.relative_to(FOLDER).as_posix(): path for path in sorted(FOLDER.rglob("*.sql"))}


@pytest.mark.parametrize("name", _FILES)
def test_what_is_in_force_can_be_put_in_force_again(name: str) -> None:
    created = list(_CREATE.finditer(_FILES[name].read_text()))

    assert created
    assert [found["name"] for found in created if not found["again"]] == []
    assert {f"{found['kind']} {found['name']}" for found in created} == sql_files()[name].defines


@pytest.mark.parametrize("name", _FILES)
def test_a_file_holds_one_kind_and_a_trigger_stands_in_its_tables(name: str) -> None:
    """To put one in force locks that table, or that view, and no other."""
    path, source = _FILES[name], _FILES[name].read_text()
    kinds = {kind for kind, _ in defined_in(source)}

    assert kinds == {{"views": "VIEW", "triggers": "TRIGGER"}.get(path.parent.name, "FUNCTION")}
    assert set(_TABLE_OF_TRIGGER.findall(source)) == ({path.stem} if kinds == {"TRIGGER"} else set())


@pytest.mark.parametrize("name", _FILES)
def test_no_line_is_too_long(name: str) -> None:
    assert [line for line in _FILES[name].read_text().splitlines() if len(line) > _LONGEST] == []


def test_the_map_names_every_file_of_functions_and_nothing_that_is_no_more() -> None:
    told = (FOLDER / "README.md").read_text().split("```")[1]
    functions = {name for path in _FILES.values() for _, name in defined_in(path.read_text())}

    assert {path.name for path in FOLDER.glob("*.sql")} <= set(re.findall(r"\w+\.sql", told))
    assert set(re.findall(r"\b[a-z]+_[a-z_]+\b", told)) <= functions


@pytest.mark.parametrize(
    ("source", "defined"),
    [
        ("CREATE FUNCTION a() RETURNS int", [("FUNCTION", "a")]),
        ("create or replace\nview a AS", [("VIEW", "a")]),
        ("CREATE CONSTRAINT TRIGGER a AFTER", [("TRIGGER", "a")]),
        ("CREATE UNLOGGED TABLE a (", [("TABLE", "a")]),
        ('op.create_table(\n        "a",', [("TABLE", "a")]),
        ("DROP FUNCTION a; CREATE INDEX a ON b (c)", []),
    ],
)
def test_a_definition_is_seen(source: str, defined: list[tuple[str, str]]) -> None:
    assert defined_in(source) == defined
