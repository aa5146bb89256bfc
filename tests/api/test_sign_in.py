"""Signing in and out: what is let in, how often, over which address, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

import httpx2
import pytest

from api.main import keep_first_admin
from config.session_cookies import SessionCookies
from storage.users import Users
from tests.signing_in import LINK_TOKEN, LOGIN, PASSWORD, add_user, browser, form_token, log_in
from tests.system_in_process import System, running_system

PAGES = ["", "/trouble", "/conversations/00000000-0000-4000-8000-000000000000", "/sign-ins"]
LINK = f"/dashboard/enter?token={LINK_TOKEN}"
PUBLIC = {"public_url": "https://bot.example.org"}


@pytest.fixture
async def still(postgres_url: str, temporal_address: str, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """Nothing answers; its parameters are settings."""
    settings = {"admin_link_token": LINK_TOKEN, "secret_key": "a-secret-key-for-tests"}
    settings |= getattr(request, "param", {})
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        await add_user(system)
        yield system


@pytest.fixture
async def visitor(still: System) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser(still) as client:
        yield client


def cookie_of(response: httpx2.Response) -> tuple[str, set[str]]:
    """Its name and attributes."""
    name, _, rest = response.headers["Set-Cookie"].partition("=")
    return name, {each.strip().partition("=")[0].lower() for each in rest.split(";")[1:]}


@pytest.mark.parametrize("page", PAGES)
async def test_a_page_leads_who_is_not_signed_in_to_the_form(visitor: httpx2.AsyncClient, page: str) -> None:
    path = f"/dashboard{page}?a=1"
    shown = await visitor.get(path, headers={"Accept": "text/html,*/*"})
    program = await visitor.get(path)

    assert (shown.status_code, shown.headers["Location"]) == (
        303,
        f"{LOGIN}?next={path.replace('?', '%3F').replace('=', '%3D')}",
    )
    assert program.status_code == 401
    assert "Sign in" in (await visitor.get(shown.headers["Location"])).text


async def test_who_signs_in_comes_to_the_page_they_wanted(still: System, visitor: httpx2.AsyncClient) -> None:
    form = {"email": " Ann@Example.org ", "password": PASSWORD, "next": "/dashboard/trouble"}
    answer = await visitor.post(LOGIN, data=form)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/dashboard/trouble")
    assert cookie_of(answer) == ("session", {"httponly", "samesite", "path", "max-age"})
    assert (await visitor.get("/dashboard/trouble")).status_code == 200
    kept = await still.database.rows("SELECT token_hash FROM user_sessions")
    [cookie] = visitor.cookies.jar
    assert len(cookie.value or "") >= 43 + 1 + 22  # 256 random bits, and a signature
    assert (cookie.value or "").encode() not in bytes(kept[0]["token_hash"])


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil", "/dashboard\\x", "/dashboardx", ""]
)
async def test_nobody_is_led_elsewhere(visitor: httpx2.AsyncClient, elsewhere: str, still: System) -> None:
    form = {"email": "ann@example.org", "password": PASSWORD, "next": elsewhere}

    assert (await visitor.post(LOGIN, data=form)).headers["Location"] == "/dashboard"


async def test_words_are_the_same_for_an_unknown_name_and_a_wrong_password(visitor: httpx2.AsyncClient) -> None:
    wrong = await log_in(visitor, password="wrong password")
    unknown = await log_in(visitor, "zzz@example.org", "wrong password")
    no_address = await log_in(visitor, "no address")

    assert [wrong.status_code, unknown.status_code, no_address.status_code] == [401, 401, 401]
    assert wrong.text.replace("ann@", "zzz@") == unknown.text
    assert "The e-mail address or the password is wrong." in no_address.text
    assert "Set-Cookie" not in wrong.headers


async def test_time_is_the_same_for_an_unknown_name_and_a_wrong_password(still: System) -> None:
    """By what is done for it: one look and one hash of the same cost, whoever is meant."""
    users = Users(still.database)
    took: dict[str, list[float]] = {"ann@example.org": [], "nobody@example.org": []}
    for _ in range(5):
        for email, times in took.items():
            still.statements.clear()
            began = perf_counter()
            assert await users.with_password(email, "wrong password") is None
            times.append(perf_counter() - began)
            assert len(still.statements) == 1

    known, unknown = (min(times) for times in took.values())
    assert unknown > known / 3, "an unknown name is hashed for, too"


@pytest.mark.parametrize("password", ["", "x" * 5_000, "null\x00inside"])
async def test_any_password_is_answered(visitor: httpx2.AsyncClient, password: str) -> None:
    assert (await log_in(visitor, password=password)).status_code == 401


@pytest.mark.parametrize("still", [{"sign_in_name_burst": 3, "sign_in_name_per_minute": 0.1}], indirect=True)
async def test_a_name_is_tried_so_often_only(still: System, visitor: httpx2.AsyncClient) -> None:
    await add_user(still, "ben@example.org")
    failed = [(await log_in(visitor, password="wrong password")).status_code for _ in range(5)]

    right = await log_in(visitor)
    other = await log_in(visitor, "ben@example.org")

    assert failed == [401, 401, 401, 429, 429]
    assert (right.status_code, int(right.headers["Retry-After"]) > 60) == (429, True)
    assert "Too many attempts" in right.text
    assert other.status_code == 303


@pytest.mark.parametrize("still", [{"sign_in_address_burst": 3, "sign_in_address_per_minute": 0.1}], indirect=True)
async def test_an_address_tries_so_often_only_whatever_it_says_of_itself(
    still: System, visitor: httpx2.AsyncClient
) -> None:
    tried = [
        await log_in(visitor, f"nobody-{n}@example.org", **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(5)
    ]

    assert [each.status_code for each in tried] == [401, 401, 401, 429, 429]
    rows = await still.database.rows("SELECT 1 FROM rate_limits")
    assert len(rows) == 1 + 3, "who is refused by their address leaves no row for each name"


_BEHIND = {"trusted_proxies": ["127.0.0.1"], "sign_in_address_burst": 1, "sign_in_address_per_minute": 0.1}


@pytest.mark.parametrize("still", [_BEHIND], indirect=True)
async def test_behind_a_trusted_proxy_each_client_has_an_address(visitor: httpx2.AsyncClient) -> None:
    async def tried(forwarded: str) -> int:
        return (await log_in(visitor, "nobody@example.org", **{"X-Forwarded-For": forwarded})).status_code

    assert [await tried("203.0.113.1"), await tried("203.0.113.2")] == [401, 401]
    assert await tried("198.51.100.9, 203.0.113.1") == 429, "only what our proxy wrote counts"


async def test_who_succeeds_is_never_too_often(visitor: httpx2.AsyncClient) -> None:
    assert {(await log_in(visitor)).status_code for _ in range(15)} == {303}


async def test_many_tries_at_once_are_no_way_around(still: System, visitor: httpx2.AsyncClient) -> None:
    tried = await asyncio.gather(*(log_in(visitor, password="wrong password") for _ in range(20)))

    assert sum(each.status_code == 401 for each in tried) <= still.settings.sign_in_name_burst


async def test_over_http_elsewhere_nobody_signs_in(still: System) -> None:
    async with browser(still, "bot.example.org:8000") as client:
        shown, sent = await client.get(LOGIN), await log_in(client)

    assert [shown.status_code, sent.status_code] == [403, 403]
    assert "refused, for everybody on the way could read the password" in sent.text
    assert "Set-Cookie" not in sent.headers


@pytest.mark.parametrize("still", [PUBLIC], indirect=True)
async def test_where_the_address_is_https_the_cookie_is_the_hosts_alone(still: System) -> None:
    async with browser(still, "bot.example.org") as client:
        answer = await log_in(client, Origin="https://bot.example.org")

    assert answer.status_code == 303
    assert cookie_of(answer) == ("__Host-session", {"httponly", "samesite", "path", "max-age", "secure"})
    assert "Path=/;" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("still", [{"trusted_proxies": ["127.0.0.0/8"]}, {}], indirect=True, ids=["named", "not named"])
async def test_a_proxy_says_https_only_if_it_is_named(still: System) -> None:
    async with browser(still, "bot.example.org") as client:
        answer = await log_in(client, **{"X-Forwarded-Proto": "https"})

    assert answer.status_code == (303 if still.settings.trusted_proxies else 403)


async def test_signing_out_ends_it_on_the_server(still: System, visitor: httpx2.AsyncClient) -> None:
    await log_in(visitor)
    kept = {"Cookie": f"session={visitor.cookies['session']}"}

    left = await visitor.post("/dashboard/leave", data={"csrf": await form_token(visitor)})

    assert (left.status_code, left.headers["Location"]) == (303, LOGIN)
    assert "session" not in visitor.cookies
    async with browser(still) as thief:
        assert (await thief.get("/dashboard", headers=kept)).status_code == 401


async def test_signing_in_makes_a_new_session_and_ends_the_one_before(
    still: System, visitor: httpx2.AsyncClient
) -> None:
    await log_in(visitor)
    first = visitor.cookies["session"]
    await log_in(visitor)

    assert visitor.cookies["session"] != first
    async with browser(still) as other:
        assert (await other.get("/dashboard", headers={"Cookie": f"session={first}"})).status_code == 401


async def test_sessions_are_listed_and_another_one_is_ended(still: System, visitor: httpx2.AsyncClient) -> None:
    async with browser(still) as other:
        await log_in(other, **{"User-Agent": "The <b>other</b> one"})
        await log_in(visitor)
        listed = (await visitor.get("/dashboard/sign-ins")).text
        path = listed.partition('action="/dashboard/sign-ins/')[2].partition('"')[0]

        await visitor.post(f"/dashboard/sign-ins/{path}", data={"csrf": await form_token(visitor)})

        assert "The &lt;b&gt;other&lt;/b&gt; one" in listed
        assert listed.count(">this one<") == 1
        assert (await other.get("/dashboard")).status_code == 401
    assert (await visitor.get("/dashboard")).status_code == 200


async def test_somebody_elses_session_is_not_ended(still: System, visitor: httpx2.AsyncClient) -> None:
    await add_user(still, "ben@example.org")
    async with browser(still) as bens:
        await log_in(bens, "ben@example.org")
        [row] = await still.database.rows("SELECT id FROM user_sessions")
        await log_in(visitor)

        await visitor.post(f"/dashboard/sign-ins/{row['id']}/end", data={"csrf": await form_token(visitor)})

        assert (await bens.get("/dashboard")).status_code == 200


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", ["/dashboard/leave", LOGIN, "/dashboard/enter"])
async def test_another_sites_page_changes_nothing(
    still: System, visitor: httpx2.AsyncClient, headers: dict[str, str], path: str
) -> None:
    await log_in(visitor)
    form = {"csrf": await form_token(visitor), "email": "ann@example.org", "password": PASSWORD, "token": LINK_TOKEN}

    answer = await visitor.post(path, data=form, headers=headers)

    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)
    assert (await visitor.get("/dashboard")).status_code == 200


@pytest.mark.parametrize("given", ["", "another-token", "ключ"])
async def test_a_form_without_the_sessions_token_changes_nothing(visitor: httpx2.AsyncClient, given: str) -> None:
    await log_in(visitor)

    refused = await visitor.post("/dashboard/leave", data={"csrf": given})
    by_header = await visitor.post("/dashboard/leave", headers={"X-CSRF-Token": await form_token(visitor)})

    assert (refused.status_code, by_header.status_code) == (403, 303)


async def test_a_guessed_cookie_costs_no_statement(still: System, visitor: httpx2.AsyncClient) -> None:
    await log_in(visitor)
    token, _, signature = visitor.cookies["session"].partition(".")
    forged = SessionCookies(b"another key").new("")[1]
    still.statements.clear()

    for value in (forged, f"{token}x.{signature}", f"{token}.", token, ".", "x" * 4_000, "a:b:c"):
        answer = await visitor.get("/dashboard", headers={"Cookie": f"session={value}"})
        assert answer.status_code == 401, value

    assert still.statements == []


async def test_a_session_expires(still: System, visitor: httpx2.AsyncClient) -> None:
    await log_in(visitor)
    assert (await visitor.get("/dashboard")).status_code == 200

    await still.database.rows("UPDATE user_sessions SET expires_at = agent_now()")

    assert (await visitor.get("/dashboard")).status_code == 401


async def test_the_link_shows_a_button_and_only_the_button_signs_in_once(
    still: System, visitor: httpx2.AsyncClient
) -> None:
    previews = [await visitor.get(LINK) for _ in range(3)]
    entered = await visitor.post("/dashboard/enter", data={"token": LINK_TOKEN})
    async with browser(still) as other:
        again = await other.post("/dashboard/enter", data={"token": LINK_TOKEN})

    assert [(each.status_code, "Set-Cookie" in each.headers) for each in previews] == [(200, False)] * 3
    assert entered.status_code == 303
    assert (await visitor.get("/dashboard")).status_code == 200
    assert (again.status_code, "it signs in once" in again.text) == (403, True)


async def test_a_used_link_stays_used_in_every_process(still: System, visitor: httpx2.AsyncClient) -> None:
    """The database knows: another process, or this one started again, has nothing of it."""

    async def pressed() -> int:
        async with browser(still) as client:
            return (await client.post("/dashboard/enter", data={"token": LINK_TOKEN})).status_code

    at_once = await asyncio.gather(*(pressed() for _ in range(5)))

    assert sorted(at_once) == [303, 403, 403, 403, 403]


_AWAY: list[dict[str, Any]] = [{"Host": "bot.example.org"}, {"X-Forwarded-For": "203.0.113.1"}, {"Forwarded": "for=1"}]


@pytest.mark.parametrize("headers", _AWAY, ids=str)
async def test_the_link_works_on_this_machine_only(visitor: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    shown = await visitor.get(LINK, headers=headers)
    pressed = await visitor.post("/dashboard/enter", data={"token": LINK_TOKEN}, headers=headers)

    assert [shown.status_code, pressed.status_code] == [403, 403]


async def test_two_installations_let_in_one_browser(
    still: System, visitor: httpx2.AsyncClient, postgres_url: str, temporal_address: str
) -> None:
    settings = {"secret_key": "the secret key of another one"}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as other:
        await add_user(other)
        addresses = [f"{still.http.base_url}", f"{other.http.base_url}"]
        for address in addresses:
            await visitor.post(f"{address}{LOGIN}", data={"email": "ann@example.org", "password": PASSWORD})
        seen = [(await visitor.get(f"{address}/dashboard")).status_code for address in addresses]
        page = await visitor.get(f"{addresses[0]}/dashboard/sign-ins")
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]

        await visitor.post(f"{addresses[0]}/dashboard/leave", data={"csrf": token})

        left = [(await visitor.get(f"{address}/dashboard")).status_code for address in addresses]
    assert (seen, left) == ([200, 200], [401, 200])


_FIRST = {"admin_email": "root@example.org", "admin_password": "a long enough password"}


@pytest.mark.parametrize("still", [_FIRST], indirect=True)
async def test_the_settings_make_the_first_administrator_and_no_second(
    still: System, visitor: httpx2.AsyncClient
) -> None:
    await keep_first_admin(still.database, still.settings)
    assert len(await still.database.rows("SELECT 1 FROM users")) == 1, "there was an administrator"
    await still.database.rows("DELETE FROM users")

    for _ in range(2):
        await keep_first_admin(still.database, still.settings)

    assert (await log_in(visitor, "root@example.org", "a long enough password")).status_code == 303
    rows = await still.database.rows("SELECT email, role FROM users")
    assert [dict(row) for row in rows] == [{"email": "root@example.org", "role": "admin"}]
