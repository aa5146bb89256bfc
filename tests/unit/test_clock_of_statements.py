"""SQL takes its time from one function: a statement that asks the server itself could not be moved by a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.sources import Module, modules_of_tests, parse

_ROOT = Path(__file__).parents[2]
_THE_SERVERS_OWN = re.compile(
    r"(?<![\w.])now\(\)|(clock|statement|transaction)_timestamp\(|\bcurrent_(timestamp|date)\b", re.I
)
_CLOCK = _ROOT / "storage/sql/clock.sql"
_SOURCES = sorted({*_ROOT.glob("storage/**/*.py"), *_ROOT.glob("storage/**/*.sql")} - {_CLOCK})


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_no_statement_asks_the_server_for_the_time(source: Path) -> None:
    assert not _THE_SERVERS_OWN.search(source.read_text())


_STATEMENT = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b")


def statements_in(module: Module) -> list[str]:
    """The text of each string of *module* that is SQL, or a piece of it."""
    texts = [node.value for node in ast.walk(module.tree) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and _STATEMENT.search(text)]


def test_no_statement_of_a_test_does_either() -> None:
    asking = [(module.path, text) for module in modules_of_tests() for text in statements_in(module)]

    assert [each for each in asking if _THE_SERVERS_OWN.search(each[1])] == []


def test_a_statement_of_a_test_is_seen() -> None:
    [statement] = statements_in(parse("await rows('UPDATE actions SET expires_at = {}')".format("now()")))

    assert _THE_SERVERS_OWN.search(statement)
