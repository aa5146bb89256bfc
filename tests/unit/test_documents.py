"""The papers can be read in any window: prose ends at 100 characters, and a file with a line's end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
]
LONGEST = 100


@pytest.mark.parametrize("name", DOCUMENTS)
def test_prose_is_short_in_line_and_ends_with_one(name: str) -> None:
    text = (ROOT / name).read_text()

    assert text.endswith("\n")
    assert [line for line in prose(text) if len(line) > LONGEST] == []


def prose(text: str) -> Iterator[str]:
    """Neither tables nor code."""
    in_code = False
    for line in text.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        elif not in_code and not line.startswith("|"):
            yield line
