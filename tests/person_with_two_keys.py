"""Somebody on WhatsApp whose number and id come alone at first, and together later; and what is owed to them."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowExecutionStatus

from integrations.perplexity.double import words
from tests.support.waiting import until
from tests.system_in_process import System
from tests.whatsapp_bodies import PHONE
from tests.whatsapp_customer import Customer, written

USER_ID = "MY.13491208655302741918"
_BOTH = {"from": PHONE, "from_user_id": USER_ID}


class Person:
    """Somebody whose number and id come alone at first, and together later."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._customer = Customer(system)

    async def by_phone(self, text: str) -> None:
        await self._customer.send(written(text, **{"from": PHONE}))

    async def by_id(self, text: str) -> None:
        await self._customer.send(written(text, **{"from": None, "from_user_id": USER_ID}))

    async def known_twice(self) -> Person:
        """Two conversations at rest: the older by number, which is to go on, the newer by id."""
        await self.by_phone("I am known by phone")
        await self.until_sent(1)
        await self.by_id("I came by id")
        await self.until_sent(2)
        await self.until_idle()
        return self

    async def with_both(self, text: str) -> None:
        await self._customer.send(written(text, **_BOTH))

    async def reacts_with_both(self) -> None:
        """An event that asks for no answer."""
        reaction = {"message_id": "wamid.x", "emoji": "👍"}
        await self._customer.send(written("", **_BOTH, type="reaction", text=None, reaction=reaction))

    async def presses(self, choice_id: str) -> None:
        button = {"type": "button_reply", "button_reply": {"id": choice_id, "title": "Yes"}}
        await self._customer.send(written("", **_BOTH, type="interactive", text=None, interactive=button))

    async def session(self, key: str = PHONE) -> dict[str, Any]:
        response = await self.system.http.get(f"/api/session/{key}?channel=whatsapp")
        response.raise_for_status()
        return dict(response.json())

    async def change_state(self, state: str, key: str) -> None:
        body = {"state": state, "reason": "test"}
        response = await self.system.http.post(f"/api/session/{key}/state?channel=whatsapp", json=body)
        response.raise_for_status()

    async def until_sent(self, count: int) -> list[str]:
        return await until(f"{count} replies", lambda: self.sent, lambda sent: len(sent) >= count)

    async def until_idle(self) -> None:
        await until("nothing waiting and nothing due", lambda: owed(self.system), lambda left: not left)

    @property
    def sent(self) -> list[str]:
        return [posted.text for posted in self.system.whatsapp.sent]

    @property
    def asked(self) -> list[str]:
        return [words(question) for question in self.system.perplexity.prompts]


async def owed(system: System) -> list[dict[str, Any]]:
    rows = await system.database.rows(
        "SELECT id, 'message' AS what FROM conversations WHERE cursor < newest_seq UNION ALL "
        "SELECT conversation_id, 'reply' FROM messages WHERE delivery = 'due' UNION ALL "
        "SELECT conversation_id, 'turn' FROM turns WHERE finished_at IS NULL"
    )
    return [dict(row) for row in rows]


async def conversations(system: System) -> list[dict[str, Any]]:
    """The older first."""
    rows = await system.database.rows("SELECT c.*, c.state FROM conversations c ORDER BY created_at")
    return [dict(row) for row in rows]


async def until_ended(system: System, workflow_id: str) -> None:
    handle = system.temporal.get_workflow_handle(workflow_id)
    await until(
        f"the end of {workflow_id}",
        handle.describe,
        lambda seen: seen.status is WorkflowExecutionStatus.COMPLETED,
    )
