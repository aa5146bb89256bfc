"""ARCHITECTURE.md says what is so: its glossary names tables and types that there are, its walk counts its own rows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from storage.sql_files import FOLDER
from storage.tables import metadata

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text()
VIEWS = set(re.findall(r"CREATE OR REPLACE VIEW (\w+)", "".join(path.read_text() for path in FOLDER.rglob("*.sql"))))
COLUMNS = {name: {column.name for column in table.columns} for name, table in metadata.tables.items()}
BESIDE = {"api_keys", "audit", "rate_limits", "stream_events", "texts_in_force", "user_sessions"}
"""Tables that are no word of the core: keys, who did what, counts, text on its way to who watches, which functions are
in force, and who is signed in."""


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under *heading*, without its own head."""
    part = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines][2:]


def named(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def defined_names() -> set[str]:
    """Classes, and what a module gives a name at its top."""
    found = set()
    for path in ROOT.glob("[a-z]*/**/*.py"):
        if path.relative_to(ROOT).parts[0] != "tests":
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    found.add(node.name)
                elif isinstance(node, ast.Assign):
                    found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


TERMS = rows("Glossary")


@pytest.mark.parametrize("row", TERMS, ids=[row[0] for row in TERMS])
def test_a_term_stands_in_a_table_that_there_is(row: list[str]) -> None:
    for word in named(row[2]):
        table, _, column = word.partition(".")
        assert table in COLUMNS or table in VIEWS
        assert not column or column in COLUMNS[table]


def test_each_table_is_a_term_or_stands_beside_the_core() -> None:
    told = {word.partition(".")[0] for row in TERMS for word in named(row[2])}

    assert set(COLUMNS) - told == BESIDE


def test_each_type_of_a_term_is_there() -> None:
    types = {word.partition(".")[0] for row in TERMS for word in named(row[3]) if not is_module(word)}

    assert types - defined_names() == set()


def is_module(word: str) -> bool:
    return (ROOT / word.replace(".", "/")).with_suffix(".py").is_file()


def test_the_walk_of_a_warm_turn_counts_its_own_rows() -> None:
    """25 files, each entered once and three of them again, less the three that are opened for their types."""
    walk = rows("The files of one warm turn")
    told = re.search(r"\*\*(\d+) files\*\*.*?\*\*(\d+) stays, (\d+) of them returns\*\*", TEXT, re.DOTALL)
    assert told
    files, stays, returns = map(int, told.groups())
    types_alone = [row for row in walk if row[1].endswith("*")]

    assert [int(row[0]) for row in walk] == list(range(1, files + 1))
    assert len([row for row in walk if row[3]]) == returns
    assert files - len(types_alone) + returns == stays
    assert (files, stays, returns) <= (25, 25, 3)
    assert [row[1] for row in walk if not (ROOT / named_path(row[1])).is_file()] == []


def named_path(cell: str) -> str:
    return cell.partition("`")[2].partition("`")[0]
