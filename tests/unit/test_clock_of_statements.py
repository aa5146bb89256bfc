"""SQL takes its time from one function: a statement that asks the server itself could not be moved by a test.

Those in tests do so too: `tests/support/clock_rule.py` sees them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_THE_SERVERS_OWN = re.compile(
    r"(?<![\w.])now\(\)|(clock|statement|transaction)_timestamp\(|\bcurrent_(timestamp|date)\b", re.I
)
_CLOCK = _ROOT / "storage/sql/clock.sql"
_SOURCES = sorted({*_ROOT.glob("storage/**/*.py"), *_ROOT.glob("storage/**/*.sql")} - {_CLOCK})


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_no_statement_asks_the_server_for_the_time(source: Path) -> None:
    assert not _THE_SERVERS_OWN.search(source.read_text())
