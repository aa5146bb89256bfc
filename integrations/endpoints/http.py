"""Calls a configured endpoint over HTTP: the URL is the administrator's, the address is checked, the answer is capped.

The name is resolved once and exactly the checked addresses are connected to, one after the other until one answers,
under the name's own Host header and TLS name, so a name that changes its address in between (DNS rebinding) gains
nothing. No connection is used twice: the pool knows addresses only, and two names may share one. No redirect is
followed: an endpoint that moves is an administrator's matter.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import httpx2
from pydantic import SecretStr

from integrations.endpoints.addresses import AddressRefused, Resolve, checked_addresses, resolve
from integrations.endpoints.answers import result_of
from integrations.endpoints.filling import filled
from integrations.endpoints.port import CallFailureKind, EndpointFailed, EndpointResult
from schemas.actions import Endpoint, private_host

_NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout)
_NOT_SENT = (*_NOT_CONNECTED, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)

_NO_REQUEST = (httpx2.InvalidURL, ValueError)
"""What cannot even be written as HTTP: before anything has left."""


class _Sent:
    """Watches a call: whether anything of the request has left (an extension of the HTTP client)."""

    def __init__(self) -> None:
        self.begun = False

    async def __call__(self, event: str, _: dict[str, Any]) -> None:
        self.begun = self.begun or event.endswith("send_request_headers.started")


class HttpEndpoints:
    """*secrets*: headers' values by the names that endpoints use; *allowed*: `host:port`s that need not be public.

    *connect_seconds* bounds the connection to each address of a name.
    """

    def __init__(
        self,
        secrets: Mapping[str, SecretStr],
        *,
        allowed: frozenset[str] = frozenset(),
        max_bytes: int = 262_144,
        connect_seconds: float = 5.0,
        resolve: Resolve = resolve,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self._secrets = secrets
        self._allowed = frozenset(private_host(each) for each in allowed)
        self._max_bytes = max_bytes
        self._connect_seconds = connect_seconds
        self._resolve = resolve
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            verify=trusted or True,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, endpoint: Endpoint, params: dict[str, Any], key: str | None) -> EndpointResult:
        """Raises EndpointFailed; a whole call takes at most the endpoint's `time_limit_seconds`."""
        sent = _Sent()
        try:
            async with asyncio.timeout(endpoint.time_limit_seconds):
                return await self._call(endpoint, params, key, sent)
        except (TimeoutError, ValueError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _failure(error, endpoint, sent) from None

    async def _call(self, endpoint: Endpoint, params: dict[str, Any], key: str | None, sent: _Sent) -> EndpointResult:
        url, body = filled(endpoint, params)
        *others, last = await self._addresses(url, endpoint)
        for address in others:
            try:
                return await self._send(self._request(endpoint, url, body, key, address, sent), endpoint)
            except _NOT_CONNECTED:
                continue
        return await self._send(self._request(endpoint, url, body, key, last, sent), endpoint)

    async def _addresses(self, url: httpx2.URL, endpoint: Endpoint) -> list[str]:
        host, port = url.host, url.port or (443 if url.scheme == "https" else 80)
        private = private_host(f"{host}:{port}") in self._allowed
        if url.scheme == "http" and endpoint.headers and not private:
            why = f"{endpoint.name}: its headers hold secrets, and plain http would show them to anybody"
            raise EndpointFailed(CallFailureKind.REFUSED, why)
        try:
            return await checked_addresses(host, port, private=private, resolve=self._resolve)
        except AddressRefused as error:
            raise EndpointFailed(CallFailureKind.REFUSED, str(error)) from None
        except OSError:
            raise EndpointFailed(CallFailureKind.NOT_SENT, f"{host} cannot be resolved") from None

    def _request(
        self, endpoint: Endpoint, url: httpx2.URL, body: dict[str, Any], key: str | None, address: str, sent: _Sent
    ) -> httpx2.Request:
        headers = {"Host": url.netloc.decode(), "Accept": "application/json, text/*", "Accept-Encoding": "identity"}
        headers |= {"Idempotency-Key": key} if key else {}
        limit = endpoint.time_limit_seconds
        return self._client.build_request(
            endpoint.method,
            url.copy_with(host=address),
            json=None if endpoint.in_query else body,
            headers={**headers, **self._headers(endpoint)},
            extensions={"sni_hostname": url.host, "trace": sent},
            timeout=httpx2.Timeout(limit, connect=min(self._connect_seconds, limit)),
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
            return await result_of(response, endpoint, self._max_bytes)
        finally:
            await response.aclose()


def _failure(error: Exception, endpoint: Endpoint, sent: _Sent) -> EndpointFailed:
    """What is known of a call that brought no answer. No explanation holds what *error* says: it may quote secrets."""
    if isinstance(error, httpx2.LocalProtocolError) or (isinstance(error, _NO_REQUEST) and not sent.begun):
        why = "its URL, headers and parameters make no request that could be sent"
        return EndpointFailed(CallFailureKind.REFUSED, f"{endpoint.name}: {why}")
    if isinstance(error, _NOT_SENT):
        if _is_of_another(error):
            why = "who answers there has no valid certificate of that name"
            return EndpointFailed(CallFailureKind.REFUSED, f"{endpoint.name}: {why}")
        return EndpointFailed(CallFailureKind.NOT_SENT, f"{endpoint.name} cannot be reached")
    undone = endpoint.reads or not sent.begun
    kind = CallFailureKind.NOT_SENT if undone else CallFailureKind.UNKNOWN
    return EndpointFailed(kind, f"{endpoint.name}: {type(error).__name__}")


def _is_of_another(error: BaseException | None) -> bool:
    """Whether it failed because of the other side's certificate."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
