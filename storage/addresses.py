"""DATABASE_URL in asyncpg's words. People paste addresses that were made for libpq, psycopg or another driver."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.parameters import connected

_NOT_OURS = frozenset(
    {
        # libpq's, without a meaning for asyncpg, which would send them to the server as settings of a session.
        *("channel_binding", "connect_timeout", "client_encoding", "fallback_application_name", "gssencmode"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("load_balance_hosts", "require_auth", "requirepeer", "replication", "sslcompression", "sslsni"),
        # Prisma's and poolers'.
        *("pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "pool_mode"),
    }
)
_COUNTS = ("prepared_statement_cache_size", "statement_cache_size")
"""Of SQLAlchemy's and asyncpg's own words, those that people behind a pooler need."""


def asyncpg_address(url: str) -> str:
    """*url* (`postgresql://…`) as `asyncpg.connect` takes it. Unix sockets stand in `?host=`."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    kept = {name: value for name, value in query.items() if name not in _NOT_OURS and name not in _COUNTS}
    if "ssl" in kept:
        kept.setdefault("sslmode", kept.pop("ssl"))
    if kept.get("sslrootcert") == "system" and (bundle := ssl.get_default_verify_paths().cafile):
        kept["sslrootcert"] = bundle
    return urlunsplit(("postgresql", parts.netloc, parts.path or "/", urlencode(kept, quote_via=quote, safe="/"), ""))


def engine_for(url: str, connect: dict[str, Any] | None = None, **options: Any) -> AsyncEngine:
    """SQLAlchemy's engine over *url*, whose parameters asyncpg itself reads: it knows those of libpq for TLS.

    *connect*: further arguments of `asyncpg.connect`; *options*: of `create_async_engine`.
    """
    query = dict(parse_qsl(urlsplit(url).query))
    counts = {name: int(query[name]) for name in _COUNTS if query.get(name, "").isdecimal()}
    arguments = {"dsn": asyncpg_address(url), "async_creator_fn": connected, **counts, **(connect or {})}
    return create_async_engine("postgresql+asyncpg://", connect_args=arguments, hide_parameters=True, **options)
