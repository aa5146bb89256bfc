"""`api_call` over real sockets: what is sent, what is refused, and what is known when no result comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import SecretStr

from integrations.endpoints.addresses import is_public
from integrations.endpoints.http import HttpEndpoints, filled
from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import Endpoint
from tests.endpoint_server import Service, running_service


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture
async def endpoints(service: Service) -> AsyncIterator[HttpEndpoints]:
    service.requests.clear()
    secrets = {"orders_token": SecretStr("s3cret-value")}
    endpoints = HttpEndpoints(secrets, allowed=frozenset({service.host}), max_bytes=10_000)
    yield endpoints
    await endpoints.close()


def endpoint(service: Service, path: str, **more: Any) -> Endpoint:
    return Endpoint(name="orders", description="Orders", url=f"http://{service.host}/{path}", **more)


async def test_places_are_filled_and_the_rest_goes_into_the_query(service: Service, endpoints: HttpEndpoints) -> None:
    params = {"number": "a b/../c?x=1#y", "lang": "zh 中"}

    result = await endpoints.call(endpoint(service, "orders/{number}?v=2"), params, "key-1")

    [(method, path, headers, _)] = service.requests
    assert result.status == 200
    assert (method, path) == ("GET", "/orders/a%20b%2F..%2Fc%3Fx%3D1%23y?v=2&lang=zh+%E4%B8%AD")
    assert headers["Idempotency-Key"] == "key-1"
    assert headers["Host"] == service.host


async def test_without_a_key_none_is_sent(service: Service, endpoints: HttpEndpoints) -> None:
    await endpoints.call(endpoint(service, "orders?reference={key}"), {"key": "c/1/0"}, None)

    [(_, path, headers, _)] = service.requests
    assert path == "/orders?reference=c%2F1%2F0"
    assert "Idempotency-Key" not in headers


async def test_a_post_sends_json_and_the_secrets_header(service: Service, endpoints: HttpEndpoints) -> None:
    wanted = endpoint(service, "orders", method="POST", headers={"X-Token": "orders_token"})

    await endpoints.call(wanted, {"number": "A-1"}, "key-1")

    [(_, _, headers, body)] = service.requests
    assert (headers["X-Token"], body) == ("s3cret-value", '{"number":"A-1"}')


@pytest.mark.parametrize(
    ("path", "method", "kind"),
    [
        ("moved", "GET", CallFailureKind.FAILED),
        ("busy", "POST", CallFailureKind.NOT_SENT),
        ("broken", "GET", CallFailureKind.NOT_SENT),
        ("broken", "POST", CallFailureKind.UNKNOWN),
        ("refused", "POST", CallFailureKind.FAILED),
        ("picture", "GET", CallFailureKind.FAILED),
        ("drop", "POST", CallFailureKind.UNKNOWN),
        ("slow", "POST", CallFailureKind.UNKNOWN),
    ],
)
async def test_what_is_known_when_no_result_comes(
    service: Service, endpoints: HttpEndpoints, path: str, method: Any, kind: CallFailureKind
) -> None:
    limit = {"time_limit_seconds": 1} if path == "slow" else {}  # a busy machine may need one for the others

    with pytest.raises(EndpointFailed) as failed:
        await endpoints.call(endpoint(service, path, method=method, **limit), {}, "key-1")

    assert failed.value.kind is kind
    assert len(service.requests) == 1
    assert failed.value.retry_after == (7.0 if path == "busy" else None)


@pytest.mark.parametrize("path", ["huge", "bomb"])
async def test_an_answer_is_capped_after_unpacking(service: Service, endpoints: HttpEndpoints, path: str) -> None:
    result = await endpoints.call(endpoint(service, path), {}, "key-1")

    assert (len(result.body), result.truncated) == (10_000, True)


@pytest.mark.parametrize("url", ["{address}/find/{n}", "https://[zz/{n}", "https://a.example:x/{n}"])
async def test_what_makes_no_request_is_refused_unsent(service: Service, endpoints: HttpEndpoints, url: str) -> None:
    found = endpoint(service, "").model_copy(update={"url": url.replace("{address}", f"http://{service.host}")})

    with pytest.raises(EndpointFailed) as refused:
        await endpoints.call(found, {"n": "长" * 30_000}, None)

    assert refused.value.kind is CallFailureKind.REFUSED
    assert service.requests == []


async def test_a_missing_secret_is_refused_unsent(service: Service, endpoints: HttpEndpoints) -> None:
    with pytest.raises(EndpointFailed, match="the header X-Token names"):
        await endpoints.call(endpoint(service, "ok", headers={"X-Token": "unset"}), {}, "key-1")

    assert service.requests == []


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost"],
)
async def test_this_machine_is_not_reached_by_any_spelling(service: Service, host: str) -> None:
    service.requests.clear()
    endpoints = HttpEndpoints({})
    port = service.server_address[1]

    with pytest.raises(EndpointFailed) as failed:
        await endpoints.call(Endpoint(name="own", description="x", url=f"http://{host}:{port}/ok"), {}, "key-1")

    await endpoints.close()
    assert failed.value.kind in {CallFailureKind.REFUSED, CallFailureKind.NOT_SENT}
    assert service.requests == []


async def test_a_name_that_changes_its_address_gains_nothing(service: Service) -> None:
    service.requests.clear()
    answers = [["93.184.216.34", "127.0.0.1"], ["127.0.0.1"]]

    async def rebinding(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    endpoints = HttpEndpoints({}, resolve=rebinding)
    url = f"http://rebind.example:{service.server_address[1]}/ok"
    with pytest.raises(EndpointFailed) as failed:
        await endpoints.call(Endpoint(name="rebind", description="x", url=url), {}, "key-1")

    await endpoints.close()
    assert failed.value.kind is CallFailureKind.REFUSED
    assert len(answers) == 1
    assert service.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2002:0a00:0001::",
        "fec0::1",
    ],
)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_public_addresses_are(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("url", ["https://{host}.example/x", "https://user@service.example/x", "https://a:{port}/x"])
def test_a_place_in_the_host_is_refused(url: str) -> None:
    with pytest.raises(EndpointFailed):
        filled(Endpoint(name="bad", description="x", url=url), {"host": "evil", "port": "1"})


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_parameter_cannot_climb_the_path(value: str) -> None:
    with pytest.raises(EndpointFailed):
        filled(Endpoint(name="orders", description="x", url="https://s.example/orders/{id}/x"), {"id": value})
