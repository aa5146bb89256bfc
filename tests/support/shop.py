"""An example shop: endpoints that an assistant may call, and the model's outputs that ask for an action."""

from __future__ import annotations

import json
from typing import Any

from schemas.actions import Endpoint

CANCEL = Endpoint(
    name="cancel_order",
    description="Cancels",
    method="POST",
    url="https://shop.example/cancel",
    destructive=True,
)
BOOK = Endpoint(
    name="book",
    description="Books",
    method="POST",
    url="https://shop.example/book",
    safe=True,
    safe_because="a booking can be cancelled",
)


def output(action: str, **metadata: Any) -> str:
    return json.dumps({"action": action, "reason": "Asked for it", "metadata": metadata})
