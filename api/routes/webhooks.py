"""`/api/webhooks/…`: calls of channels, which prove themselves by their signatures; answered once all is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import SecretStr

from api.bodies import read_body
from api.examples import META_EXAMPLE, TWILIO_EXAMPLE
from api.problems import ProblemError, problem_docs
from api.services import Services, Serving
from config import metrics
from config.logs import get_logger
from integrations.whatsapp.accounts import META, TWILIO
from integrations.whatsapp.meta import signature as meta_signature
from integrations.whatsapp.meta.webhook import parse_webhook as parse_meta
from integrations.whatsapp.twilio import signature as twilio_signature
from integrations.whatsapp.twilio.webhook import parse_webhook as parse_twilio
from schemas.channels import WHATSAPP

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"], responses=problem_docs(401, 408, 413, 415, 503))

log = get_logger(__name__)

_NOT_SIGNED = "The signature is missing or does not fit this body."
_ANOTHER_ACCOUNT = "This is another account's call."
_META = {"schema": {"type": "object", "additionalProperties": True}, "example": META_EXAMPLE}
_TWILIO = {"schema": {"type": "object", "additionalProperties": {"type": "string"}}, "example": TWILIO_EXAMPLE}
_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"


@router.get("/whatsapp", summary="Meta's verification call", responses=problem_docs(403))
async def verify(request: Request, services: Serving) -> PlainTextResponse:
    """Echoes `hub.challenge` as plain text if `hub.verify_token` is WHATSAPP_VERIFY_TOKEN."""
    token = _plain(services.settings.whatsapp_verify_token)
    challenge = meta_signature.answer_challenge(request.query_params, token)
    if challenge is None:
        with _refusals_noted(META, _unless_set("WHATSAPP_VERIFY_TOKEN", token, "fits no verification call of Meta's")):
            raise ProblemError(403, "This is not a verification call with our token.")
    return PlainTextResponse(challenge, headers={"X-Content-Type-Options": "nosniff"})


@router.post(
    "/whatsapp",
    summary="Messages and statuses from Meta's Cloud API",
    openapi_extra={"requestBody": {"required": True, "content": {_JSON: _META}}},
)
async def whatsapp(request: Request, services: Serving) -> Response:
    """200 once all of it is stored; what cannot be read is kept aside and answered with 200 too, for Meta would only
    send it again. The signature is over the raw bytes and always required."""
    secret = _plain(services.settings.whatsapp_app_secret)
    with _refusals_noted(META, _unless_set("WHATSAPP_APP_SECRET", secret, "is another one than the caller signs with")):
        body = await _body(request, services)
        if not meta_signature.is_valid(secret, body, request.headers.get(meta_signature.HEADER)):
            raise ProblemError(401, _NOT_SIGNED)
        _check_type(request, _JSON)
    await services.webhooks.take(WHATSAPP, parse_meta(body, services.now()), services.settings.whatsapp_phone_number_id)
    return Response(status_code=200)


@router.post(
    "/twilio",
    summary="Messages and statuses from Twilio",
    openapi_extra={"requestBody": {"required": True, "content": {_FORM: _TWILIO}}},
)
async def twilio(request: Request, services: Serving) -> Response:
    """Signed over the address that Twilio knows (PUBLIC_URL, where set) and the form. Answers an empty TwiML."""
    token = _plain(services.settings.twilio_auth_token)
    not_ours = "is another one than the caller signs with, or PUBLIC_URL is not the address that was called"
    with _refusals_noted(TWILIO, _unless_set("TWILIO_AUTH_TOKEN", token, not_ours)):
        body = await _body(request, services)
        _check_type(request, _FORM)
        form = twilio_signature.read_form(body)
        header = request.headers.get(twilio_signature.HEADER)
        if form is None or not twilio_signature.is_valid(token, _public_url(request, services), form, header):
            raise ProblemError(401, _NOT_SIGNED)
        if dict(form).get("AccountSid") != services.settings.twilio_account_sid:
            raise ProblemError(401, _ANOTHER_ACCOUNT)
    await services.webhooks.take(WHATSAPP, parse_twilio(form, request.query_params, services.now()))
    return Response("<Response/>", media_type="text/xml")


@contextmanager
def _refusals_noted(provider: str, if_not_ours: str) -> Iterator[None]:
    """A line and a count for each refusal: a wrong secret of ours looks like silence to everybody else.

    *if_not_ours*: what is wrong here, if the caller is the provider.
    """
    try:
        yield
    except ProblemError as refused:
        is_proof = refused.status in {401, 403} and refused.detail != _ANOTHER_ACCOUNT
        mend = {"unless_forged": if_not_ours} if is_proof else {}
        log.warning("webhook_refused", provider=provider, status=refused.status, why=refused.detail, **mend)
        metrics.WEBHOOKS.labels(WHATSAPP, "refused").inc()
        raise


def _unless_set(name: str, secret: str, not_ours: str) -> str:
    return f"{name} {not_ours}" if secret else f"{name} is not set"


async def _body(request: Request, services: Services) -> bytes:
    settings = services.settings
    return await read_body(request.scope, request.receive, settings.webhook_body_bytes, settings.request_body_seconds)


def _check_type(request: Request, wanted: str) -> None:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != wanted or request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(415, f"Send {wanted}, not compressed.")


def _public_url(request: Request, services: Services) -> str:
    """The address as it was called: the signature is over its path as it came."""
    query = f"?{request.url.query}" if request.url.query else ""
    base = services.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{base}{request.scope['raw_path'].decode('ascii')}{query}"


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
