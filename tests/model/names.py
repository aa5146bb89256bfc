"""Names that read in a failing example's script as they are written there."""

from __future__ import annotations

from enum import StrEnum


class Name(StrEnum):
    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"
