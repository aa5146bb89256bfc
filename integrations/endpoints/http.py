"""Calls a configured endpoint over HTTP: the URL is the administrator's, the address is checked, the answer is capped.

The name is resolved once and exactly the checked address is connected to, under the name's own Host header and TLS
name, so a name that changes its address in between (DNS rebinding) gains nothing. No redirect is followed: an
endpoint that moves is an administrator's matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import SecretStr

from integrations.endpoints.addresses import AddressRefused, Resolve, checked_address, resolve
from integrations.endpoints.port import CallFailureKind, EndpointFailed, EndpointResult
from schemas.actions import PLACE, Endpoint

_TEXT = ("text/", "application/json", "application/problem+json", "application/xml")
_SAFE_METHODS = {"GET"}
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)

_NO_REQUEST = (httpx2.InvalidURL, httpx2.LocalProtocolError, ValueError)
"""What cannot even be written as HTTP: nothing has left."""


class HttpEndpoints:
    """*secrets*: headers' values by the names that endpoints use; *allowed*: `host:port`s that need not be public."""

    def __init__(
        self,
        secrets: Mapping[str, SecretStr],
        *,
        allowed: frozenset[str] = frozenset(),
        max_bytes: int = 262_144,
        resolve: Resolve = resolve,
    ) -> None:
        self._secrets = secrets
        self._allowed = allowed
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._client = httpx2.AsyncClient(follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, endpoint: Endpoint, params: dict[str, Any], key: str | None) -> EndpointResult:
        """Raises EndpointFailed; a whole call takes at most the endpoint's `time_limit_seconds`."""
        try:
            async with asyncio.timeout(endpoint.time_limit_seconds):
                request = await self._request(endpoint, params, key)
                return await self._send(request, endpoint)
        except _NOT_SENT:
            raise EndpointFailed(CallFailureKind.NOT_SENT, f"{endpoint.name} cannot be reached") from None
        except _NO_REQUEST:
            why = f"{endpoint.name}: its URL, headers and parameters make no request that could be sent"
            raise EndpointFailed(CallFailureKind.REFUSED, why) from None  # what it says may quote them
        except (TimeoutError, httpx2.HTTPError) as error:
            raise EndpointFailed(CallFailureKind.UNKNOWN, f"{endpoint.name}: {type(error).__name__}") from None

    async def _request(self, endpoint: Endpoint, params: dict[str, Any], key: str | None) -> httpx2.Request:
        url, rest = filled(endpoint, params)
        host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
        try:
            address = await checked_address(host, port, self._allowed, self._resolve)
        except AddressRefused as error:
            raise EndpointFailed(CallFailureKind.REFUSED, str(error)) from None
        except OSError:
            raise EndpointFailed(CallFailureKind.NOT_SENT, f"{host} cannot be resolved") from None
        headers = {"Host": url.netloc.decode(), "Accept": "application/json, text/*"}
        headers |= {"Idempotency-Key": key} if key else {}
        in_query = endpoint.method in {"GET", "DELETE"}
        return self._client.build_request(
            endpoint.method,
            url.copy_with(host=address, **({"params": {**dict(url.params), **rest}} if in_query and rest else {})),
            json=None if in_query else rest,
            headers={**headers, **self._headers(endpoint)},
            extensions={"sni_hostname": host},
            timeout=endpoint.time_limit_seconds,
        )

    def _headers(self, endpoint: Endpoint) -> dict[str, str]:
        missing = [header for header, name in endpoint.headers.items() if name not in self._secrets]
        if missing:  # the name is not told: somebody may have put the secret itself there
            why = f"ENDPOINT_SECRETS has not the secret that the header {missing[0]} names"
            raise EndpointFailed(CallFailureKind.REFUSED, f"{endpoint.name}: {why}")
        return {header: self._secrets[name].get_secret_value() for header, name in endpoint.headers.items()}

    async def _send(self, request: httpx2.Request, endpoint: Endpoint) -> EndpointResult:
        response = await self._client.send(request, stream=True)
        try:
            _check(response, endpoint)
            body, truncated = await self._read(response)
        finally:
            await response.aclose()
        return EndpointResult(
            status=response.status_code,
            content_type=response.headers.get("content-type", ""),
            body=body.decode(response.charset_encoding or "utf-8", errors="replace"),
            truncated=truncated,
        )

    async def _read(self, response: httpx2.Response) -> tuple[bytes, bool]:
        """The first bytes of the (decoded) body; more is not read."""
        body = bytearray()
        async for chunk in response.aiter_bytes(chunk_size=16_384):
            body += chunk
            if len(body) > self._max_bytes:
                return bytes(body[: self._max_bytes]), True
        return bytes(body), False


def filled(endpoint: Endpoint, params: dict[str, Any]) -> tuple[httpx2.URL, dict[str, Any]]:
    """The URL with its places filled, percent-encoded, and the parameters that have no place in it.

    Raises EndpointFailed (refused) for a place in scheme, host or port, or one that no parameter fills.
    """
    parts = urlsplit(endpoint.url)
    if PLACE.search(f"{parts.scheme}{parts.netloc}") or parts.username is not None:
        raise EndpointFailed(
            CallFailureKind.REFUSED, f"{endpoint.name}: the URL's host must be fixed and without a user"
        )
    used = set(PLACE.findall(endpoint.url))
    missing = used - params.keys()
    if missing:
        raise EndpointFailed(CallFailureKind.REFUSED, f"{endpoint.name}: no parameter {sorted(missing)[0]}")
    values = {name: quote(str(params[name]), safe="") for name in used}
    if any(value in {"", ".", ".."} for value in values.values()):
        raise EndpointFailed(CallFailureKind.REFUSED, f"{endpoint.name}: a parameter would change the path")
    url = PLACE.sub(lambda place: values[place.group(1)], endpoint.url)
    return httpx2.URL(url), {name: value for name, value in params.items() if name not in used}


def _check(response: httpx2.Response, endpoint: Endpoint) -> None:
    """Raises EndpointFailed unless the answer is a usable success."""
    status = response.status_code
    after = response.headers.get("retry-after", "")
    retry_after = float(after) if after.isascii() and after.isdigit() else None
    if status == 429:
        raise EndpointFailed(CallFailureKind.NOT_SENT, f"{endpoint.name} is busy", retry_after=retry_after)
    if status >= 500:
        kind = CallFailureKind.NOT_SENT if endpoint.method in _SAFE_METHODS else CallFailureKind.UNKNOWN
        raise EndpointFailed(kind, f"{endpoint.name} answered {status}", retry_after=retry_after)
    if status >= 300 and status != 404:
        raise EndpointFailed(CallFailureKind.FAILED, f"{endpoint.name} answered {status}")
    kind_of = response.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if not kind_of.startswith(_TEXT) and not kind_of.endswith("+json"):
        raise EndpointFailed(CallFailureKind.FAILED, f"{endpoint.name} answered with {kind_of[:80]}, not text")
