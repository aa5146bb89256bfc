"""How much of an output is looked at, and how closely: bounds of the parser, one object for all its parts.

The settings OUTPUT_MAX_CHARACTERS, ACTION_MAX_CHARACTERS and ACTION_MAX_DEPTH fill the first three.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadingLimits:
    """Characters and counts. Beyond `output_characters` no object is read any more, only looked for."""

    output_characters: int = 1_000_000
    object_characters: int = 65_536
    depth: int = 32
    number_characters: int = 40
    errors: int = 20
