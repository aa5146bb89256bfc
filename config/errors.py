"""Other people's errors in one line, for logs and answers: what the adapters' own exceptions say."""

from __future__ import annotations

_CHARACTERS = 300


def first_line(error: BaseException) -> str:
    """The first line that says something; the error's kind where none does."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:_CHARACTERS]
