"""How soon a webhook is acknowledged, against a bare signal-with-start; and whether a slow model delays it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

from bench.comparison import Comparison, Round, take_turns
from bench.stage import BenchStage
from bench.subject import sign_webhook

_WARM = 5
_SLOW = "[[sim: slow=5]] "
_REST_SECONDS = 0.1
"""Between two calls: each webhook begins a turn, which is not what is measured here."""


async def webhooks(stage: BenchStage) -> list[Comparison]:
    """Acknowledgements are counted from the first byte sent to the answer's last."""
    ack = Comparison("webhook", "acknowledgement of a webhook", "bare signal-with-start", "≤ 1.5 ×, aim < 1 ×")
    slow = Comparison("webhook, slow model", "acknowledgement, model takes 5 s", "the same, model at once", "≈ 1 ×")
    measures = (
        _rested(lambda: stage.caller.webhook(message_from(new_phone(), "Hello"), sign_webhook)),
        _rested(lambda: stage.caller.webhook(message_from(new_phone(), f"{_SLOW}Hello"), sign_webhook)),
        _rested(lambda: stage.floor.signal(f"floor-signal-{uuid4()}")),
    )
    await take_turns(stage.random, _WARM, *measures)
    for _ in range(stage.sizes.rounds):
        quick, slowly, signals = await take_turns(stage.random, stage.sizes.samples, *measures)
        ack.rounds.append(Round(quick, signals))
        slow.rounds.append(Round(slowly, quick))
    return [ack, slow]


def _rested(measure: Callable[[], Awaitable[float]]) -> Callable[[], Awaitable[float]]:
    async def rested() -> float:
        await asyncio.sleep(_REST_SECONDS)
        return await measure()

    return rested


def new_phone() -> str:
    return str(10_000_000_000 + uuid4().int % 10_000_000_000)


def message_from(phone: str, text: str, message_id: str | None = None) -> bytes:
    """A customer's message, as Meta posts it."""
    message = {
        "from": phone,
        "id": message_id or f"wamid.{uuid4().hex}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    metadata = {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"}
    contacts = [{"profile": {"name": "Bench"}, "wa_id": phone}]
    value = {"messaging_product": "whatsapp", "metadata": metadata, "contacts": contacts, "messages": [message]}
    change = {"field": "messages", "value": value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()
