"""docs/setup.md's table *When it does not start* quotes what the program says, and not what it once said."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.sources import ROOT

FOLDERS = ("api", "cli", "config", "launch", "storage", "integrations", "tools")
_OTHERS_WORDS = ("permission denied for schema public", "database", "does not exist", "Missing dependencies for")
"""PostgreSQL's, pip's."""
_GAPS = re.compile(
    r"…|'[^']*'|\b[A-Z][A-Z_]{3,}\b:?|\.env:|\b[\w-]+\.(?:json|sqlite)\b|\d[\d,]*|\b[XY]\b|LATIN1|"
    r"PostgreSQL says:|got |user |missing:"
)
"""What a line is put together from: names of settings, files and users, numbers, values."""
_SHORTEST = 8
"""Less of a quotation stands anywhere."""


def _rows() -> list[str]:
    text = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
    table = text.partition("## When it does not start")[2].partition("\nTried, and started")[0]
    return [line for line in table.splitlines() if line.startswith("| ") and "`" in line.split(" | ")[0]]


@cache
def _said() -> str:
    """Every text of our sources, with … for what is put into it."""
    texts = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    texts.append(
                        "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(texts).replace("`", "")


def _pieces(row: str) -> list[str]:
    """Of each quotation what stands between its gaps."""
    quoted = " … ".join(re.findall(r"`([^`]+)`", row.split(" | ")[0]))
    parts = [part.strip(" :;,().") for part in _GAPS.split(quoted)]
    return [part for part in parts if len(part) >= _SHORTEST and not part.startswith(_OTHERS_WORDS)]


@pytest.mark.parametrize("row", _rows())
def test_what_a_row_quotes_is_said(row: str) -> None:
    unsaid = [piece for piece in _pieces(row) if piece not in _said()]

    assert unsaid == []


def test_quotations_are_found() -> None:
    assert len(_rows()) > 60
    assert sum(len(_pieces(row)) for row in _rows()) > 60
