"""The customer's side of the stand-in: what the trying page (and a test) reads and does."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from integrations.whatsapp.standin.bodies import Writing
from integrations.whatsapp.standin.graph import Graph
from integrations.whatsapp.standin.switches import Switches


def routes(graph: Graph, phone_number_id: str) -> APIRouter:
    """`/standin/messages`, `/standin/send`, `/standin/switches`, `/standin/posted`."""
    router = APIRouter(prefix="/standin")

    @router.get("/messages")
    async def messages(since: int = 0, phone: str | None = None) -> dict[str, Any]:
        """Bubbles added or changed after revision *since*, and whether we are typing to *phone*."""
        found = graph.chats.since(since, phone)
        typing = phone is not None and graph.chats.is_typing(phone)
        return {
            "messages": [each.model_dump(mode="json") for each in found],
            "typing": typing,
            "revision": graph.chats.revision,
        }

    @router.post("/send")
    async def send(writing: Writing, account: str = phone_number_id) -> dict[str, Any]:
        """A customer writes to us; *account* is the phone number id that gets it."""
        return graph.write(account, writing)

    @router.get("/switches")
    async def switches() -> Switches:
        return graph.switches

    @router.put("/switches")
    async def switch(wanted: Switches) -> Switches:
        graph.switches = wanted
        return wanted

    @router.get("/posted")
    async def posted() -> list[dict[str, Any]]:
        """Every message that was posted to the Graph API, in order, as it was posted."""
        return graph.posted

    return router
