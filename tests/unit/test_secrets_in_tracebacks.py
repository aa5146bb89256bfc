"""An adapter's failure is logged with its traceback: nothing of a header may stand there, whatever made it illegal."""

from __future__ import annotations

import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from config.settings import Settings
from integrations.channels.failures import MediaFailed, SendFailed
from integrations.channels.port import MediaRef, Recipient
from integrations.endpoints.http import HttpEndpoints
from integrations.endpoints.port import EndpointFailed
from integrations.whatsapp.configuration import meta_from
from integrations.whatsapp.meta.client import MetaWhatsApp
from integrations.whatsapp.port import SendRequest
from schemas.actions import Endpoint

SECRET = "hunter2"
UNFIT = SecretStr(f"{SECRET}\nX")


@pytest.fixture
def somebody() -> Iterator[str]:
    """Who lets us connect; a header is written only then."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def send(place: str) -> None:
    async with meta_at(place) as adapter:
        await adapter.send_text(
            SendRequest(account="1", recipient=Recipient(phone="15550001111"), delivery_id="d"), "Hello"
        )


async def download(place: str) -> None:
    async with meta_at(place) as adapter:
        await adapter.download("1", MediaRef(id="3", mime_type="image/png"))


async def call_endpoint(place: str) -> None:
    endpoints = HttpEndpoints({"crm": UNFIT}, allowed=frozenset({place}))
    endpoint = Endpoint(
        name="crm", url=f"http://{place}/x", method="GET", headers={"Authorization": "crm"}, description="x"
    )
    try:
        await endpoints.call(endpoint, {}, None)
    finally:
        await endpoints.close()


@asynccontextmanager
async def meta_at(place: str) -> AsyncIterator[MetaWhatsApp]:
    """With a token that parsing would have refused."""
    settings = Settings(_env_file=None, whatsapp_graph_url=f"http://{place}")  # type: ignore[call-arg]
    adapter = meta_from(settings.model_copy(update={"whatsapp_access_token": UNFIT}))
    assert adapter
    try:
        yield adapter
    finally:
        await adapter.close()


@pytest.mark.parametrize("work", [send, download, call_endpoint])
async def test_nothing_of_a_header(somebody: str, work: Callable[[str], Awaitable[None]]) -> None:
    with pytest.raises((SendFailed, MediaFailed, EndpointFailed)) as caught:
        await work(somebody)

    assert SECRET not in "".join(traceback.format_exception(caught.value))
