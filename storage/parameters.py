"""Parameters of DATABASE_URL that the driver refuses in words of TLS or of the system: named, without their values."""

from __future__ import annotations

import os
import ssl
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "target_session_attrs": ("any", "primary", "standby", "prefer-standby", "read-write", "read-only"),
}
_CHECKING = ("require", "verify-ca", "verify-full")
_FILES = {
    "sslrootcert": "certificates",
    "sslcrl": "revoked certificates",
    "sslcert": "a certificate",
    "sslkey": "a key",
}


class WrongParameter(asyncpg.exceptions.ClientConfigurationError):
    """The message is one line: which parameter of the address, what is wrong with it, and what to do."""


async def connected(*arguments: Any, **options: Any) -> asyncpg.Connection:
    """`asyncpg.connect`; raises WrongParameter where an address that cannot be used is why it failed."""
    try:
        return await asyncpg.connect(*arguments, **options)
    except Exception as error:
        if wrong := wrong_parameter(options.get("dsn", "")):
            raise WrongParameter(wrong) from error
        raise


def wrong_parameter(address: str) -> str | None:
    """What is wrong with a parameter or host of *address*, as one line; None where nothing is."""
    parts = urlsplit(address)
    query = dict(parse_qsl(parts.query))
    for name, words in _CHOICES.items():
        if name in query and query[name].replace("_", "-") not in words:
            return (
                f"the parameter {name} of the address cannot be used: set it to {', '.join(words[:-1])} or {words[-1]}"
            )
    hosts = [unquote(each) for each in parts.netloc.rpartition("@")[2].split(",")] + query.get("host", "").split(",")
    if not all(_may_be_a_name(host) for host in hosts):
        return "the host of the address is no name: a part between its dots is empty or too long; mend it"
    return None if query.get("sslmode") == "disable" else _wrong_file(query)


def _may_be_a_name(host: str) -> bool:
    if host.startswith(("/", "[", "@")):
        return True
    try:
        host.partition(":")[0].encode("idna")
    except UnicodeError:
        return False
    return True


def _wrong_file(query: dict[str, str]) -> str | None:
    used = [name for name in _FILES if query.get(name) and (name != "sslrootcert" or query.get("sslmode") in _CHECKING)]
    for name in used:
        if trouble := _trouble_with(name, query):
            holds = _FILES[name]
            return (
                f"the parameter {name} of the address cannot be used: {trouble}; name a file that holds {holds} in PEM"
            )
    return None


def _trouble_with(name: str, query: dict[str, str]) -> str | None:
    try:
        if stat.S_ISFIFO(os.stat(query[name]).st_mode):
            return "its file cannot be read (no file)"  # which would be waited for
        Path(query[name]).read_bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if name in ("sslrootcert", "sslcrl"):
            context.load_verify_locations(cafile=query[name])
        elif name == "sslcert":
            context.load_cert_chain(query[name], _key_of(query), password=query.get("sslpassword", ""))
    except ssl.SSLError:
        beside = " with its key" if name == "sslcert" else ""
        return f"its file holds none{beside}"
    except (OSError, ValueError) as error:
        return f"its file cannot be read ({getattr(error, 'strerror', None) or 'no path'})"
    return None


def _key_of(query: dict[str, str]) -> str | None:
    """Where the driver looks for it; None: in the file of the certificate."""
    with suppress(RuntimeError):  # there is no home
        if not query.get("sslkey") and os.path.exists(usual := Path.home() / ".postgresql" / "postgresql.key"):
            return str(usual)
    return query.get("sslkey")
