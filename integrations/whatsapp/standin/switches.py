"""What goes wrong at the stand-in: each switch is one thing that the real service does on a bad day."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""Of all calls: 0 never, 1 always."""


class Switches(BaseModel):
    """Shares are drawn for each call; everything is off by default."""

    model_config = ConfigDict(extra="forbid")

    # Webhooks to us
    duplicates: int = Field(default=0, ge=0, le=10, description="How many more times each webhook is posted")
    disorder_seconds: float = Field(default=0.0, ge=0, le=60, description="Webhooks overtake each other within this")
    delay_seconds: float = Field(default=0.0, ge=0, le=600, description="Each webhook is posted this much later")
    statuses: bool = Field(default=True, description="Whether sent, delivered and read are reported at all")
    reads: bool = Field(default=True, description="Whether the customer reads what arrives")

    # Sends from us
    failed_delivery: Share = Field(default=0.0, description="Accepted, then reported as failed")
    failed_code: int = Field(default=131026, description="The error code of a failed delivery")
    outside_window: bool = Field(default=False, description="Only templates are accepted (131047)")
    rate_limited: Share = Field(default=0.0, description="429 with 130429")
    pair_limited: Share = Field(default=0.0, description="400 with 131056")
    fail_before: Share = Field(default=0.0, description="503 without any effect")
    execute_then_drop: Share = Field(default=0.0, description="Accepted, then the connection is closed")
    stall: Share = Field(default=0.0, description="Accepted, but answered only after stall_seconds")
    stall_seconds: float = Field(default=10.0, ge=0, le=600)

    # Files
    wrong_hash: bool = Field(default=False, description="The announced hash is another file's")
    media_expired: bool = Field(default=False, description="Every file's address has expired")
