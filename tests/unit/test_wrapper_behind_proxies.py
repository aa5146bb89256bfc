"""A wrapper beyond a proxy of the environment: what is told names who did not answer, and never a password."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest
import socksio

from config.proxies import proxy_towards
from config.settings import Settings
from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.perplexity.port import AskFailed, ModelPrompt
from integrations.perplexity.wrapper import WrapperClient
from integrations.whatsapp.exchange import call
from launch.preflight import trouble_with_wrapper
from schemas.failures import ModelFailureKind

URL = "http://ana:hidden@wrapper.internal:8000"
SETTINGS = Settings(_env_file=None, perplexity_base_url=URL)  # type: ignore[call-arg]
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LOCKED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Whoever connects is told the bytes of the test's parameter; the address goes into the variable it names."""
    variable, scheme, said = request.param
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_answer, args=(listener, said), daemon=True).start()
        place = f"127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv(variable, f"{scheme}://bob:hid@{place}")
        yield place
        listener.shutdown(socket.SHUT_RDWR)


def _answer(listener: socket.socket, said: bytes) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65_536)
            connection.sendall(said)


@pytest.mark.parametrize("proxy", [("http_proxy", "http", HEALTHY)], indirect=True)
def test_one_that_answers_through_it_is_healthy(proxy: str) -> None:
    assert trouble_with_wrapper(SETTINGS) is None


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        (("HTTP_PROXY", "http", LOCKED), "through HTTP_PROXY http://…@PLACE (GET /health gives 407)"),
        (("ALL_PROXY", "http", b""), "through ALL_PROXY http://…@PLACE (Server disconnected"),
    ],
    indirect=["proxy"],
)
def test_who_stands_between_is_named(proxy: str, words: str) -> None:
    told = trouble_with_wrapper(SETTINGS) or ""

    assert f"at http://…@wrapper.internal:8000, {words.replace('PLACE', proxy)}" in told
    assert not any(piece in told for piece in ("hid", "ana", "bob"))


def speaks_otherwise(_: httpx2.Request) -> httpx2.Response:
    """As the client of SOCKS proxies raises it; it leaves the connection open, which a test would be red by."""
    raise socksio.ProtocolError("Malformed reply")


async def test_a_proxy_that_speaks_another_protocol_is_a_wrapper_that_was_not_reached() -> None:
    wrapper = WrapperClient(SETTINGS, transport=httpx2.MockTransport(speaks_otherwise))
    prompt = ModelPrompt(text="Hours?", account_name="acct-a", frontend_context_uuid="context-1")

    with pytest.raises(AskFailed) as failed:
        await wrapper.ask(prompt)

    assert failed.value.kind is ModelFailureKind.CONNECT
    assert await wrapper.healthy() is False
    assert await wrapper.has_thread("acct-a", "slug") is None
    await wrapper.close()


async def test_nothing_was_sent_through_such_a_one() -> None:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(speaks_otherwise)) as http:
        with pytest.raises(SendFailed) as failed:
            await call(http, http.build_request("POST", "http://graph.internal/messages"), 5)

    assert failed.value.kind is SendFailureKind.TRANSIENT


@pytest.mark.parametrize(
    ("url", "environment", "found"),
    [
        ("http://w.internal", {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "http://q:1"}, ("HTTP_PROXY", "http://p:1")),
        ("https://w.internal", {"HTTP_PROXY": "http://p:1", "ALL_PROXY": "q:1"}, ("ALL_PROXY", "q:1")),
        ("http://w.internal", {"HTTP_PROXY": "http://p:1", "http_proxy": "http://q:1"}, ("http_proxy", "http://q:1")),
        ("http://w.internal", {"HTTPS_PROXY": "http://p:1", "ALL_PROXY": " "}, None),
        ("http://w.internal", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a,internal"}, None),
        ("http://w.internal", {"HTTP_PROXY": "http://p:1", "no_proxy": "*"}, None),
        ("http://w.internal:8000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": ".w.internal:8000"}, None),
        ("http://w.internal:8000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": ",:81"}, ("HTTP_PROXY", "http://p:1")),
        ("http://10.1.2.3:8000", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
    ],
)
def test_which_proxy_stands_between(url: str, environment: dict[str, str], found: tuple[str, str] | None) -> None:
    assert proxy_towards(url, environment) == found
