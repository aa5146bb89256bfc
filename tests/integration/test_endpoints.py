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


@pytest.mark.parametrize("path", ["huge", "bomb"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_answer_that_is_too_large_is_not_read_in_part(
    service: Service, endpoints: HttpEndpoints, path: str, method: Any
) -> None:
    """A bomb is counted as it unfolds. What was done was done."""
    called = endpoints.call(endpoint(service, path, method=method), {}, "key-1")

    if method == "GET":
        with pytest.raises(EndpointFailed, match="more than 10000 bytes") as failed:
            await called
        assert failed.value.kind is CallFailureKind.FAILED
    else:
        result = await called
        assert (result.body, result.unread) == ("", "more than 10000 bytes")


async def test_a_service_that_asks_for_patience_gets_it(service: Service, endpoints: HttpEndpoints) -> None:
    with pytest.raises(EndpointFailed) as failed:
        await endpoints.call(endpoint(service, "busy", method="POST"), {}, "key-1")

    assert (failed.value.kind, failed.value.retry_after) == (CallFailureKind.NOT_SENT, 7.0)


async def test_a_packed_answer_is_unpacked_though_none_was_asked_for(
    service: Service, endpoints: HttpEndpoints
) -> None:
    result = await endpoints.call(endpoint(service, "packed"), {}, "key-1")

    assert result.body == '{"is": "here"}'
    assert service.requests[0][2]["Accept-Encoding"] == "identity"


async def test_what_the_url_says_stays_and_the_model_says_it_not_anew(
    service: Service, endpoints: HttpEndpoints
) -> None:
    fixed = endpoint(service, "orders?tag=1&tag=2&tenant=acme&flag&q=a%20b")

    await endpoints.call(fixed, {"tenant": "other", "tag": "3", "page": 2.0, "open": True, "ids": ["x", "y"]}, None)

    [(_, path, _, _)] = service.requests
    assert path == "/orders?tag=1&tag=2&tenant=acme&flag&q=a%20b&page=2&open=true&ids=x&ids=y"


@pytest.mark.parametrize("number", [10423, 10423.0, "10423"])
async def test_a_whole_number_is_one_however_it_was_written(
    service: Service, endpoints: HttpEndpoints, number: object
) -> None:
    await endpoints.call(endpoint(service, "status/{number}"), {"number": number}, None)

    assert service.requests[0][1] == "/status/10423"


async def test_two_names_never_share_a_connection(service: Service) -> None:
    """Though they lead to one address: a secret for the one must not travel where the other was checked."""
    service.requests.clear()
    service.connections.clear()
    port = service.server_address[1]
    allowed = frozenset({f"a.example:{port}", f"b.example:{port}"})

    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    endpoints = HttpEndpoints({}, allowed=allowed, resolve=here)
    for host in ("a.example", "b.example", "a.example"):
        await endpoints.call(Endpoint(name="x", description="x", url=f"http://{host}:{port}/ok"), {}, None)
    await endpoints.close()

    assert [headers["Host"].partition(":")[0] for _, _, headers, _ in service.requests] == [
        "a.example",
        "b.example",
        "a.example",
    ]
    assert len(service.connections) == 3


async def test_the_addresses_of_a_name_are_tried_in_turn(service: Service) -> None:
    service.requests.clear()

    async def two(_host: str, _port: int) -> list[str]:
        return ["127.0.0.9", "127.0.0.1"]  # the service listens at the second alone

    port = service.server_address[1]
    endpoints = HttpEndpoints({}, allowed=frozenset({f"two.example:{port}"}), resolve=two)
    called = Endpoint(name="two", description="x", method="POST", url=f"http://two.example:{port}/ok")
    result = await endpoints.call(called, {}, "key-1")
    await endpoints.close()

    assert result.status == 200
    assert len(service.requests) == 1


async def test_a_name_in_ones_own_network_has_no_case(service: Service) -> None:
    endpoints = HttpEndpoints({}, allowed=frozenset({service.host.upper()}))

    result = await endpoints.call(endpoint(service, "ok"), {}, None)
    await endpoints.close()

    assert result.status == 200


async def test_a_secret_never_leaves_over_plain_http(service: Service) -> None:
    service.requests.clear()

    async def public(_host: str, _port: int) -> list[str]:
        return ["93.184.216.34"]

    endpoints = HttpEndpoints({"token": SecretStr("s3cret")}, resolve=public)
    open_to_all = Endpoint(name="x", description="x", url="http://shop.example/", headers={"X-Token": "token"})
    with pytest.raises(EndpointFailed, match="plain http") as refused:
        await endpoints.call(open_to_all, {}, None)
    await endpoints.close()

    assert refused.value.kind is CallFailureKind.REFUSED


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
    ["127.0.0.1", "127.1", "0x7f000001", str(127 << 24 | 1), "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost"],
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
