"""A line on WhatsApp: the keys that one person's messages come with, and what reaches them. Numbers change hands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from integrations.perplexity.port import ModelPrompt
from tests.support.clock import now, stamp
from tests.support.waiting import until
from tests.system_in_process import System
from tests.whatsapp_bodies import payload
from tests.whatsapp_customer import post, written


@dataclass
class Line:
    """Somebody who writes with these keys. What was sent to the number, or to the id, has reached them."""

    system: System
    phone: str | None = None
    user_id: str | None = None
    name: str | None = None

    async def writes(self, text: str, **fields: Any) -> dict[str, Any]:
        """One message, with the keys of this line unless *fields* say otherwise."""
        one = written(text, **{"from": self.phone, "from_user_id": self.user_id} | fields)
        contact = {"profile": {"name": self.name}, "wa_id": self.phone, "user_id": self.user_id}
        await self.sends(one, contacts=[contact] if self.name else [])
        return one

    async def sends(self, one: dict[str, Any], *, field: str = "messages", **value: Any) -> None:
        body = payload(messages=[one], **value)
        body["entry"][0]["changes"][0]["field"] = field
        response = await post(self.system, body)
        assert response.status_code == 200, response.text

    @property
    def received(self) -> list[str]:
        """Where both are known, a channel sends to the number."""
        to = [(each.request.recipient, each.text) for each in self.system.whatsapp.sent]
        return [text for recipient, text in to if (recipient.phone or recipient.user_id) in {self.phone, self.user_id}]

    async def until_received(self, count: int) -> list[str]:
        what = f"{count} messages to {self.phone or self.user_id}"
        return await until(what, lambda: self.received, lambda got: len(got) >= count)

    def asked(self, words: str) -> ModelPrompt:
        """The newest prompt that holds *words*."""
        return next(prompt for prompt in reversed(self.system.perplexity.prompts) if words in prompt.text)


def changed(kind: str = "user_changed_number", /, sent_at: str | None = None, **told: Any) -> dict[str, Any]:
    """What the channel says of a customer; *told*: fields of `system`, and with `sender_` those of the message."""
    sender = {name.removeprefix("sender_"): told.pop(name) for name in list(told) if name.startswith("sender_")}
    system = {"body": "User Ana changed", "type": kind} | told
    base = {"id": f"wamid.{uuid4().hex}", "timestamp": sent_at or stamp(now()), "type": "system", "system": system}
    return base | sender
