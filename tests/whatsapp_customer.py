"""Customers on WhatsApp, as the system under test meets them: signed webhooks in, what was sent out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2

from integrations.whatsapp.double import Posted
from integrations.whatsapp.meta.signature import HEADER, sign
from tests.support.clock import now, stamp
from tests.support.waiting import until
from tests.system_in_process import System
from tests.whatsapp_bodies import ACCOUNT, PHONE, message, payload

APP_SECRET = "the-app-secret"
SETTINGS: dict[str, Any] = {
    "whatsapp_app_secret": APP_SECRET,
    "whatsapp_verify_token": "the-verify-token",
    "whatsapp_phone_number_id": ACCOUNT,
    "quiet_seconds": 0.0,
    "delivery_settle_poll_seconds": 0.05,
    "delivery_pause_max_seconds": 0.05,
}


async def post(system: System, body: bytes | dict[str, Any], **headers: str) -> httpx2.Response:
    """One call of the webhook, signed as Meta signs it unless *headers* say otherwise."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    signed = {"Content-Type": "application/json", HEADER: sign(APP_SECRET, raw)} | headers
    return await system.http.post("/api/webhooks/whatsapp", content=raw, headers=signed)


def written(text: str, /, **fields: Any) -> dict[str, Any]:
    """A text message that the customer writes now."""
    return message(**{"id": f"wamid.{uuid4().hex}", "timestamp": stamp(now()), "text": {"body": text}} | fields)


def at(second: int) -> str:
    """A timestamp of some seconds ago; a larger number is later."""
    return stamp(now() - timedelta(seconds=60 - second))


@dataclass
class Customer:
    system: System
    phone: str = PHONE

    async def write(self, text: str, **fields: Any) -> dict[str, Any]:
        """Posts one message, and returns it."""
        one = written(text, **{"from": self.phone} | fields)
        await self.send(one)
        return one

    async def send(self, *messages: dict[str, Any], **value: Any) -> None:
        """Posts a batch of messages."""
        response = await post(self.system, payload(messages=list(messages), **value))
        assert response.status_code == 200, response.text

    async def status(self, posted: Posted, status: str, code: int | None = None) -> None:
        """Posts a status of a message of ours, as the Graph API reports it."""
        report: dict[str, Any] = {
            "id": posted.channel_message_id,
            "status": status,
            "timestamp": stamp(now()),
            "recipient_id": self.phone,
            "biz_opaque_callback_data": posted.request.delivery_id,
        }
        report |= {"errors": [{"code": code, "title": "failed"}]} if code else {}
        response = await post(self.system, payload(statuses=[report]))
        assert response.status_code == 200

    @property
    def received(self) -> list[str]:
        """What was sent to this customer, in order."""
        return [each.text for each in self.system.whatsapp.sent if each.request.recipient.phone == self.phone]

    async def until_received(self, count: int) -> list[str]:
        """What was received, once it is *count* messages."""
        return await until(f"{count} messages to {self.phone}", lambda: self.received, lambda got: len(got) >= count)

    async def session(self) -> dict[str, Any]:
        response = await self.system.http.get(f"/api/session/{self.phone}?channel=whatsapp")
        response.raise_for_status()
        return dict(response.json())

    async def until_idle(self) -> dict[str, Any]:
        """The session, once nothing waits and nothing is due any more."""
        seen = await until(
            f"no waiting message of {self.phone} and no due reply",
            self._standing,
            lambda seen: seen["session"]["waiting_messages"] == 0 and seen["due"] == 0,
        )
        return dict(seen["session"])

    async def _standing(self) -> dict[str, Any]:
        session = await self.session()
        due = await self.system.database.row("SELECT count(*) AS n FROM messages WHERE delivery = 'due'")
        return {"due": due and due["n"], "received": self.received, "session": session}
