"""Each function, view, trigger and table of the database is defined in one place: the text that is read is in force."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from storage.sql_files import FOLDER

_ROOT = FOLDER.parent
_CREATE = re.compile(
    r"\bCREATE\s+(?P<again>OR\s+REPLACE\s+)?(?:(?:UNLOGGED|CONSTRAINT|MATERIALIZED|RECURSIVE)\s+)*"
    r"(?P<kind>FUNCTION|PROCEDURE|VIEW|TRIGGER|TABLE)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>\w+)",
    re.I,
)
_MADE_BY_ALEMBIC = re.compile(r"op\.create_table\(\s*\"(?P<name>\w+)\"")
_SOURCES = sorted([*_ROOT.rglob("*.py"), *_ROOT.rglob("*.sql")])


def defined_in(source: str) -> list[tuple[str, str]]:
    """The kind and the name of each thing that *source* defines."""
    created = [(found["kind"].upper(), found["name"]) for found in _CREATE.finditer(source)]
    return created + [("TABLE", found["name"]) for found in _MADE_BY_ALEMBIC.finditer(source)]


def test_nothing_is_defined_twice() -> None:
    defined = Counter(each for path in _SOURCES for each in defined_in(path.read_text()))

    assert len(defined) > 80
    assert [each for each, times in defined.items() if times > 1] == []


@pytest.mark.parametrize("path", _SOURCES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_tables_are_made_by_migrations_and_all_else_stands_in_one_folder(path: Path) -> None:
    tables = {kind == "TABLE" for kind, _ in defined_in(path.read_text())}

    assert tables <= {path.parent != FOLDER}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sql")), ids=lambda path: path.name)
def test_what_is_in_force_can_be_put_in_force_again(path: Path) -> None:
    created = list(_CREATE.finditer(path.read_text()))

    assert created
    assert [found["name"] for found in created if not found["again"]] == []


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
