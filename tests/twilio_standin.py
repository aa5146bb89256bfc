"""A small stand-in of Twilio's Messages resource, for the contract tests of the adapter."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from integrations.whatsapp.standin.graph import CutOff
from integrations.whatsapp.standin.postman import Postman
from integrations.whatsapp.standin.switches import Switches
from integrations.whatsapp.twilio.signature import HEADER, read_form, sign

ACCOUNT_SID = "AC00000000000000000000000000000001"
AUTH_TOKEN = "standin-auth-token"
_TEXT_CHARACTERS = 1_600


class TwilioError(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    def response(self) -> JSONResponse:
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        body = {"code": self.code, "message": self.message, "more_info": more, "status": self.status}
        return JSONResponse(body, self.status)


class Twilio:
    """The service behind the route. Of the switches it knows those of sends, statuses and webhooks."""

    def __init__(self) -> None:
        self.switches = Switches()
        self.posted: list[dict[str, str]] = []
        self.files: dict[str, tuple[str, bytes]] = {}
        self.postman: Postman

    def authorize(self, request: Request) -> None:
        login = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            raise TwilioError(401, 20003, "Authenticate")

    def take(self, form: dict[str, str]) -> Response:
        switches = self.switches
        if switches.fail_before == 1:
            raise TwilioError(503, 20503, "Service unavailable")
        if switches.rate_limited == 1:
            raise TwilioError(429, 20429, "Too many requests")
        if switches.outside_window and "ContentSid" not in form:
            raise TwilioError(400, 63016, "Outside the allowed window, a template is needed")
        if len(form.get("Body", "")) > _TEXT_CHARACTERS:
            raise TwilioError(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        if not form.get("To", "").startswith("whatsapp:"):
            raise TwilioError(400, 21211, "Invalid 'To' Phone Number")
        sid = f"SM{uuid4().hex}"
        self.posted.append({"sid": sid, **form})
        self._report(sid, form)
        if switches.execute_then_drop == 1:
            return CutOff()
        return JSONResponse({"sid": sid, "status": "queued", "error_code": None}, 201)

    def _report(self, sid: str, form: dict[str, str]) -> None:
        url = form.get("StatusCallback")
        states = ["sent", "undelivered"] if self.switches.failed_delivery == 1 else ["sent", "delivered", "read"]
        for state in states if url and self.switches.statuses else []:
            fields = {"MessageSid": sid, "MessageStatus": state, "AccountSid": ACCOUNT_SID}
            fields |= {"From": form.get("From", ""), "To": form["To"]}
            if state == "undelivered":
                fields["ErrorCode"] = str(self.switches.failed_code)
            self.postman.post(str(url), urlencode(fields).encode(), form["To"])


def create_twilio() -> FastAPI:
    """The app; its service is `app.state.twilio`. Statuses go to the StatusCallback of each message."""
    service = Twilio()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.postman = Postman(_headers, lambda: service.switches, 0)
        yield
        await service.postman.close()

    app = FastAPI(title="Twilio stand-in", lifespan=lifespan)
    app.state.twilio = service

    @app.post("/2010-04-01/Accounts/{sid}/Messages.json")
    async def messages(sid: str, request: Request) -> Response:
        service.authorize(request)
        return service.take(dict(read_form(await request.body()) or []))

    @app.get("/2010-04-01/Accounts/{sid}/Messages/{message}/Media/{media}")
    async def media(sid: str, message: str, media: str, request: Request) -> Response:
        service.authorize(request)
        if media not in service.files or service.switches.media_expired:
            raise TwilioError(404, 20404, "The requested resource was not found")
        mime_type, content = service.files[media]
        return Response(content, media_type=mime_type)

    @app.exception_handler(TwilioError)
    async def answer(request: Request, error: TwilioError) -> JSONResponse:
        return error.response()

    return app


def _headers(url: str, body: bytes) -> dict[str, str]:
    signature = sign(AUTH_TOKEN, url, read_form(body) or [])
    return {"Content-Type": "application/x-www-form-urlencoded", HEADER: signature}
