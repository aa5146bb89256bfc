"""The part of the Graph API that the adapter uses, with its real shapes and error codes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from config.clock import Clock
from integrations.whatsapp.incoming import DeliveryStatus
from integrations.whatsapp.splitting import measure
from integrations.whatsapp.standin import bodies
from integrations.whatsapp.standin.chats import Chats, StoredFile
from integrations.whatsapp.standin.postman import Postman
from integrations.whatsapp.standin.statuses import advanced
from integrations.whatsapp.standin.switches import Switches

_TEXT_UNITS, _BUTTON_UNITS, _CALLBACK_CHARACTERS = 4_096, 1_024, 512


class GraphError(Exception):
    """Answered as Meta answers errors."""

    def __init__(self, status: int, code: int, message: str, subcode: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.subcode = status, code, message, subcode

    def response(self) -> JSONResponse:
        details = {"messaging_product": "whatsapp", "details": self.message}
        error: dict[str, Any] = {
            "message": f"(#{self.code}) {self.message}",
            "type": "OAuthException",
            "code": self.code,
        }
        error |= {"error_data": details, "fbtrace_id": uuid4().hex[:12]}
        if self.subcode:
            error["error_subcode"] = self.subcode
        return JSONResponse({"error": error}, self.status)


class CutOff(Response):
    """A head, then nothing: the server closes the connection before the announced body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class Graph:
    """The service behind the routes. `switches` may be replaced at any time."""

    def __init__(
        self, *, webhook_url: str, access_token: str, display_number: str, postman_seed: int, now: Clock
    ) -> None:
        self.webhook_url = webhook_url
        self.display_number = display_number
        self.switches = Switches()
        self.chats = Chats(now)
        self._now = now
        self.posted: list[dict[str, Any]] = []
        self._access_token = access_token
        self._random = random.Random(postman_seed)
        self.postman: Postman

    def authorize(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self._access_token}":
            raise GraphError(401, 190, "Invalid OAuth access token - Cannot parse access token")

    async def take(self, account: str, body: dict[str, Any]) -> Response:
        """One call of /messages: a read receipt with typing, or a message."""
        self._refuse_before()
        if body.get("status") == "read":
            return self._read(body)
        self._check(body)
        recipient = str(body.get("to") or body["recipient"]).lstrip("+")
        self.posted.append({"account": account, **body})
        message = self.chats.add(recipient, "out", body)
        self._report(account, message.id, body, recipient)
        return await self._answer(recipient, message.id)

    def _refuse_before(self) -> None:
        switches = self.switches
        if self._drawn(switches.fail_before):
            raise GraphError(503, 131016, "Service unavailable")
        if self._drawn(switches.rate_limited):
            raise GraphError(429, 130429, "Rate limit hit")
        if self._drawn(switches.pair_limited):
            raise GraphError(400, 131056, "Too many messages sent to this phone number from this one")

    def _check(self, body: dict[str, Any]) -> None:
        kind = body.get("type", "text")
        if body.get("messaging_product") != "whatsapp" or not (body.get("to") or body.get("recipient")):
            raise GraphError(400, 100, "The parameter messaging_product or to is required.")
        if len(str(body.get("biz_opaque_callback_data") or "")) > _CALLBACK_CHARACTERS:
            raise GraphError(400, 100, f"biz_opaque_callback_data must be at most {_CALLBACK_CHARACTERS} characters")
        if kind not in ("text", "interactive", "template") or not isinstance(body.get(kind), dict):
            raise GraphError(400, 131009, "Parameter value is not valid")
        if self.switches.outside_window and kind != "template":
            raise GraphError(400, 131047, "More than 24 hours have passed since the recipient last replied")
        if kind == "text" and not 0 < measure(str(body["text"].get("body") or "")) <= _TEXT_UNITS:
            raise GraphError(400, 100, f"Param text['body'] must be 1 to {_TEXT_UNITS} characters long.")
        if kind == "interactive":
            _check_buttons(body["interactive"])

    def _read(self, body: dict[str, Any]) -> Response:
        message = self.chats.changed(str(body.get("message_id")), read=True)
        if message is None:
            raise GraphError(400, 131009, "The message id is not valid")
        if body.get("typing_indicator"):
            self.chats.show_typing(message.phone)
        return JSONResponse({"success": True})

    async def _answer(self, recipient: str, message_id: str) -> Response:
        if self._drawn(self.switches.execute_then_drop):
            return CutOff()
        if self._drawn(self.switches.stall):
            await asyncio.sleep(self.switches.stall_seconds)
        contacts = [{"input": recipient, "wa_id": recipient}]
        return JSONResponse({"messaging_product": "whatsapp", "contacts": contacts, "messages": [{"id": message_id}]})

    def _report(self, account: str, message_id: str, body: dict[str, Any], recipient: str) -> None:
        """Posts the statuses of a message, as far as the switches let it come."""
        failed = self._drawn(self.switches.failed_delivery)
        states = ["sent", "failed"] if failed else ["sent", "delivered", *(["read"] if self.switches.reads else [])]
        who = {"recipient_id": recipient} if body.get("to") else {"recipient_user_id": recipient}
        for state in states:
            code = self.switches.failed_code if state == "failed" else None
            show = partial(self._show_status, message_id, state, code)
            if self.switches.statuses:
                built = bodies.status(message_id, state, who, body.get("biz_opaque_callback_data"), code, self._now())
                self._post(account, recipient, show, statuses=[built])
            else:
                show()

    def _show_status(self, message_id: str, state: str, code: int | None) -> None:
        held = self.chats.find(message_id)
        if held and advanced(held.status, DeliveryStatus(state)) != held.status:
            self.chats.changed(message_id, status=DeliveryStatus(state), error=code)

    def write(self, account: str, writing: bodies.Writing) -> dict[str, Any]:
        """A customer writes: the message is shown in the chat and posted to the webhook. Returns the message."""
        message = bodies.customer_message(writing, self.display_number, self._now())
        self.chats.add(writing.chat, "in", message)
        self._post(account, writing.chat, None, contacts=[bodies.contact(writing)], messages=[message])
        return message

    def _post(self, account: str, lane: str, on_start: Callable[[], None] | None, **value: Any) -> None:
        body = bodies.webhook_body(account, self.display_number, **value)
        self.postman.post(self.webhook_url, body, lane, on_start)

    def _drawn(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


def _check_buttons(interactive: dict[str, Any]) -> None:
    buttons = interactive.get("action", {}).get("buttons", [])
    titles = [str(button.get("reply", {}).get("title", "")) for button in buttons]
    body = str(interactive.get("body", {}).get("text", ""))
    if (
        not 1 <= len(buttons) <= 3
        or not all(0 < len(title) <= 20 for title in titles)
        or len(set(titles)) < len(titles)
    ):
        raise GraphError(400, 131009, "One to three buttons with different titles of 1 to 20 characters")
    if not 0 < measure(body) <= _BUTTON_UNITS:
        raise GraphError(400, 131009, f"The body must have 1 to {_BUTTON_UNITS} characters")


def routes(graph: Graph) -> APIRouter:
    """Messages, media upload, media address, media download."""
    router = APIRouter()

    @router.post("/{version}/{account}/messages")
    async def messages(version: str, account: str, body: dict[str, Any], request: Request) -> Response:
        graph.authorize(request)
        return await graph.take(account, body)

    @router.post("/{version}/{account}/media")
    async def upload(
        version: str, account: str, request: Request, file: UploadFile, type: Annotated[str, Form()]
    ) -> dict[str, str]:
        graph.authorize(request)
        media_id = str(uuid4().int)[:15]
        graph.chats.files[media_id] = StoredFile(mime_type=type, content=await file.read())
        return {"id": media_id}

    @router.get("/media-files/{media_id}")
    async def download(media_id: str, request: Request) -> Response:
        graph.authorize(request)
        file = graph.chats.files.get(media_id)
        if file is None or graph.switches.media_expired:
            return Response(status_code=404)
        return Response(file.content, media_type=file.mime_type)

    @router.get("/{version}/{media_id}")
    async def media(version: str, media_id: str, request: Request) -> dict[str, Any]:
        graph.authorize(request)
        file = graph.chats.files.get(media_id)
        if file is None:
            raise GraphError(400, 100, f"Object with ID '{media_id}' does not exist", subcode=33)
        content = b"" if graph.switches.wrong_hash else file.content
        return {
            "messaging_product": "whatsapp",
            "url": f"{str(request.base_url).rstrip('/')}/media-files/{media_id}",
            "mime_type": file.mime_type,
            "sha256": sha256(content).hexdigest(),
            "file_size": len(file.content),
            "id": media_id,
        }

    return router
