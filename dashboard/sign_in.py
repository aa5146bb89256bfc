"""Coming in and going out: the form, the start's link, signing out, and the list of one's sessions.

Words and times are the same for a name that there is not and a password that is wrong. Over plain http nobody signs
in, but on this machine itself.
"""

from __future__ import annotations

import asyncio
import hmac
import math
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from config.served_address import ServedAddress, is_loopback, served_address
from config.session_cookies import SessionCookies, token_hash
from config.settings import Settings
from dashboard.headers import PAGE_HEADERS
from dashboard.pages import HERE, PATH, html, page, person_of
from schemas.access import BY_THE_LINK
from storage.sign_in_limits import SignInLimits
from storage.user_sessions import UserSessions
from storage.users import Users

LOGIN = f"{PATH}/login"
_FORM_BYTES = 16_384
_BROWSER_CHARACTERS = 300
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")

PLAIN_HTTP = (
    "Signing in over plain http is refused, for everybody on the way could read the password: open the dashboard by"
    " its https:// address (PUBLIC_URL), or on the machine itself by http://127.0.0.1."
)
WRONG = "The e-mail address or the password is wrong."
USED_UP = "This link is not in force: it signs in once, on the machine itself, and each start prints another one."


def sign_in(settings: Settings) -> APIRouter:
    """The pages. They use `app.state.database` and `app.state.cookies`."""
    router = APIRouter(prefix=PATH, include_in_schema=False, max_body_size=_FORM_BYTES)
    _add_form(router, settings)
    _add_link(router, settings)
    _add_sessions(router, settings)
    return router


def _add_form(router: APIRouter, settings: Settings) -> None:
    checks = asyncio.Semaphore(settings.sign_in_checks_at_once)

    @router.get("/login")
    async def show_form(request: Request, next: str = "") -> Response:
        if refused := _over_plain_http(request, settings):
            return refused
        return html("login.html", {"next": _back(next)})

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        if refused := _over_plain_http(request, settings):
            return refused
        form = await _form(request, settings)
        email, password, back = (form.get(name, "") for name in ("email", "password", "next"))
        client = _client(request)
        limits, users = SignInLimits(request.app.state.database, settings), Users(request.app.state.database)
        if wait := await limits.take(email, client):
            return _too_often(wait, email, back)
        async with checks:
            user_id = await users.with_password(email, password)
        if user_id is None:
            return html("login.html", {"next": _back(back), "email": email, "trouble": WRONG}, 401)
        await limits.give_back(email, client)
        response = RedirectResponse(_back(back), 303)
        await _begin(request, response, settings, user_id, actor=f"user {email.strip().lower()}")
        return response

    @router.get("/dashboard.css")
    async def style() -> FileResponse:
        return FileResponse(HERE / "static" / "dashboard.css", media_type="text/css", headers=PAGE_HEADERS)


def _add_link(router: APIRouter, settings: Settings) -> None:
    """Opening it shows a button: previews of links open them, too, and press nothing."""
    link = settings.admin_link_token

    def is_the_link(request: Request, token: str) -> bool:
        wanted = link.get_secret_value() if link else ""
        right = hmac.compare_digest(wanted.encode(), token.encode())
        return bool(wanted) and right and _on_this_machine(request, settings)

    @router.get("/enter")
    async def show_button(request: Request, token: str = "") -> Response:
        if not is_the_link(request, token):
            return html("closed.html", {"trouble": USED_UP}, 403)
        return html("enter.html", {"token": token})

    @router.post("/enter")
    async def enter(request: Request) -> Response:
        token = (await _form(request, settings)).get("token", "")
        response = RedirectResponse(PATH, 303)
        if is_the_link(request, token) and await _begin(
            request, response, settings, None, actor=BY_THE_LINK, link_hash=token_hash(token)
        ):
            return response
        return html("closed.html", {"trouble": USED_UP}, 403)


def _add_sessions(router: APIRouter, settings: Settings) -> None:
    """Of the one who looks."""

    @router.get("/sign-ins")
    async def sign_ins(request: Request) -> Response:
        rows = await UserSessions(request.app.state.database).of(person_of(request).user_id)
        return page(request, "sign_ins.html", rows=rows)

    @router.post("/sign-ins/{session_id}/end")
    async def end(request: Request, session_id: UUID) -> Response:
        person = person_of(request)
        await UserSessions(request.app.state.database).end(session_id, person.user_id, actor=person.who)
        return RedirectResponse(f"{PATH}/sign-ins", 303)

    @router.post("/leave")
    async def leave(request: Request) -> Response:
        person = person_of(request)
        await UserSessions(request.app.state.database).end(person.session_id, person.user_id, actor=person.who)
        cookies: SessionCookies = request.app.state.cookies
        address = _address(request, settings)
        response = RedirectResponse(LOGIN, 303)
        others = cookies.without(request.cookies.get(cookies.name(address), ""))
        _set(response, address, others, int(settings.dashboard_session_seconds))
        return response


async def _begin(
    request: Request,
    response: Response,
    settings: Settings,
    user_id: UUID | None,
    *,
    actor: str,
    link_hash: bytes | None = None,
) -> bool:
    """A new session, and its cookie; the one that the browser had is over. False for a link that was used."""
    sessions = UserSessions(request.app.state.database)
    cookies: SessionCookies = request.app.state.cookies
    address = _address(request, settings)
    before = request.cookies.get(cookies.name(address), "")
    token, value = cookies.new(before)
    seconds = settings.dashboard_session_seconds
    begun = await sessions.begin(
        user_id,
        token_hash(token),
        actor=actor,
        lasts_seconds=seconds,
        address=_client(request),
        browser=request.headers.get("user-agent", "")[:_BROWSER_CHARACTERS],
        link_hash=link_hash,
    )
    if begun:
        if earlier := cookies.token(before):
            await sessions.end_by_token(token_hash(earlier), actor=actor)
        _set(response, address, value, int(seconds))
    return begun


def _set(response: Response, address: ServedAddress, value: str, seconds: int) -> None:
    """Lax, not strict: who follows a link in a chat is signed in; what a page of others asks for is refused apart.
    Without a value it is gone."""
    response.set_cookie(
        SessionCookies.name(address),
        value,
        max_age=seconds if value else 0,
        path="/",
        httponly=True,
        samesite="lax",
        secure=address.is_https,
    )


def _address(request: Request, settings: Settings) -> ServedAddress:
    return served_address(request.url.scheme, request.headers.get("host", ""), settings.public_url)


def _client(request: Request) -> str:
    """Its address, through the proxies of TRUSTED_PROXIES alone."""
    return request.client.host if request.client else ""


def _over_plain_http(request: Request, settings: Settings) -> HTMLResponse | None:
    address = _address(request, settings)
    if address.is_https or address.is_loopback:
        return None
    return html("closed.html", {"trouble": PLAIN_HTTP}, 403)


def _on_this_machine(request: Request, settings: Settings) -> bool:
    """The browser runs here, and no proxy stands between: that one might be anybody's."""
    passed_on = any(name in request.headers for name in _FORWARDED)
    return _address(request, settings).is_loopback and is_loopback(_client(request)) and not passed_on


def _back(path: str) -> str:
    """A page of ours, whatever an address asks for."""
    ours = path == PATH or path.startswith((f"{PATH}/", f"{PATH}?", "/playground", "/docs", "/phone"))
    return path if ours and path.isprintable() and "\\" not in path else PATH


def _too_often(wait: float, email: str, back: str) -> HTMLResponse:
    seconds = math.ceil(wait)
    told = f"Too many attempts. Try again in {seconds} s."
    values = {"next": _back(back), "email": email, "trouble": told}
    return html("login.html", values, 429, {"Retry-After": str(seconds)})


async def _form(request: Request, settings: Settings) -> dict[str, str]:
    try:
        async with asyncio.timeout(settings.request_body_seconds):
            body = await request.body()
    except TimeoutError:
        raise HTTPException(408, "The form came too slowly.") from None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
