"""What one sweep did."""

from __future__ import annotations

from pydantic import BaseModel


class SweepResult(BaseModel):
    woken: int = 0
