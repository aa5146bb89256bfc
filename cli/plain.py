"""Stored words on a terminal: customers', the model's, colleagues'. None of them steers it, or ends a line."""

from __future__ import annotations

import json


def plain(text: str) -> str:
    """On one line."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """A blank in the place of every sign that cannot be seen."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def plain_json(document: str) -> str:
    """The same JSON: signs that JSON takes as they are, and a terminal for commands, are escaped."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in document
    )
