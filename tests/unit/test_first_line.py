"""An error in one line, whatever a library puts into it."""

from __future__ import annotations

import pytest

from config.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("refused\nstack of the core"), "refused"),
        (RuntimeError("\n  refused \nmore"), "refused"),
        (RuntimeError(""), "RuntimeError"),
        (TimeoutError(), "TimeoutError"),
        (OSError(" \n"), "OSError"),
        (ValueError("x" * 5_000), "x" * 300),
    ],
)
def test_the_first_line_that_says_something(error: Exception, line: str) -> None:
    assert first_line(error) == line
