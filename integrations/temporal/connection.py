"""Connects to Temporal: address, namespace, TLS and key from the settings; Pydantic models on the wire."""

from __future__ import annotations

from temporalio.client import Client, RetryConfig, TLSConfig
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import Runtime

from config.settings import Settings

_MOST_RETRIES = 10_000
"""More than fit into any time: seconds decide."""


def address_of(settings: Settings) -> str:
    """Where Temporal is looked for: unless TEMPORAL_ADDRESS is set, where `agent run` has its own."""
    return settings.temporal_address or f"127.0.0.1:{settings.temporal_port}"


async def connect(
    settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None, retries: RetryConfig | None = None
) -> Client:
    """A client. With *lazy* it connects at its first call, so an API process can start while Temporal is
    unavailable."""
    key = settings.temporal_api_key
    return await Client.connect(
        address_of(settings),
        namespace=settings.temporal_namespace,
        api_key=key.get_secret_value() if key else None,
        tls=_tls(settings),
        data_converter=pydantic_data_converter,
        lazy=lazy,
        runtime=runtime,
        retry_config=retries,
    )


def reporting(settings: Settings) -> RetryConfig:
    """A worker's: what an activity has come to is not lost with a Temporal that is unavailable for a while, for without
    the report it would begin again only once its heartbeat is missed."""
    return RetryConfig(
        max_interval_millis=int(settings.temporal_report_pause_seconds * 1_000),
        max_elapsed_time_millis=int(settings.temporal_report_seconds * 1_000),
        max_retries=_MOST_RETRIES,
    )


def _tls(settings: Settings) -> TLSConfig | bool:
    if not (settings.temporal_tls_cert or settings.temporal_tls_ca):
        return settings.temporal_api_key is not None
    return TLSConfig(
        client_cert=settings.temporal_tls_cert.read_bytes() if settings.temporal_tls_cert else None,
        client_private_key=settings.temporal_tls_key.read_bytes() if settings.temporal_tls_key else None,
        server_root_ca_cert=settings.temporal_tls_ca.read_bytes() if settings.temporal_tls_ca else None,
    )
