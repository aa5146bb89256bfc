"""What a setting's text may be: addresses, paths, lists. Each function gives the value back, tidied, or a ValueError.

The errors' texts complete "NAME: got …; " and say what to do. None quotes its value: `load_settings` shows it, masked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from schemas.secret_names import SECRET_NAME, SECRET_NAME_TOLD

_PORT = re.compile(r"[0-9]{1,5}")
_DATABASES = ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2")
_ENCODE = (
    "one of @ : / ? # [ ] % or a blank in a user name or password must be percent-encoded (@ as %40, # as %23, …),"
    " like postgresql://user:password@host:5432/name"
)
_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.%a-z]+\]|[^\s:/@\[\]]+):([0-9]{1,5})")
_HIDDEN = "…"
_NAME_BYTES = 255  # of every file system that we run on (NAME_MAX)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9+.-]){_SCHEME.pattern}://\S*[^\s):,.;'\"\]}}>]"
    r"|(?<![^\s\"'(\[{<=,])[^\s:\"'(\[{<=,]+:\S*@\S+"
)
"""In running text: to the next blank, without signs that end a clause; without a scheme only where a name stands."""
_SECRET_PARAMETER = re.compile(
    r"(?i)((?:^|[?&#;\s])[^=&\s]*(?:password|passwd|pwd|key|token|secret)[^=&\s]*\s*=\s*)('[^']*'|[^&\s]*)"
)


def http_url(value: str | None) -> str | None:
    """An address of a service, without a slash at its end."""
    if value is None or not (value := value.strip()):
        return None
    wanted = "an http:// or https:// address, like https://host:8000"
    if not value.startswith(("http://", "https://")):
        raise ValueError(wanted)
    parts = _parts(value, wanted)
    if not parts.hostname or re.search(r"\s", value):
        raise ValueError(wanted)
    return value.rstrip("/")


def database_url(value: str | None) -> str | None:
    """A PostgreSQL's address as `postgresql://…`."""
    if value is None or not (value := value.strip()):
        return None
    scheme, found, rest = value.partition("://")
    if not found or scheme not in _DATABASES:
        raise ValueError("the address of a PostgreSQL, like postgresql://user:password@host:5432/name")
    value = f"postgresql://{rest}"
    parts = _parts(value, _ENCODE, hosts_may_be_several=True)
    user = parts.netloc.rpartition("@")[0]
    broken = "@" in user or "@" in parts.path or ("@" not in parts.netloc and "@" in parts.query) or "#" in value
    if broken or re.search(r"\s|%(?![0-9A-Fa-f]{2})", parts.netloc + parts.path):
        raise ValueError(_ENCODE)
    return value


def host_and_port(value: str | None) -> str | None:
    """Where a server listens, as Temporal's programs want it."""
    if value is None or not (value := value.strip()):
        return None
    found = _HOST_PORT.fullmatch(value)
    if not found or not 0 < int(found[2]) <= 65_535:
        raise ValueError("host:port without a scheme, like temporal.internal:7233")
    return value


def host(value: str) -> str:
    """An address to listen on; an IPv6 one may stand in brackets."""
    bare = value.strip().removeprefix("[").removesuffix("]")
    if not bare or re.search(r"[\s/@,*]", bare):
        raise ValueError("an address of this machine, like 127.0.0.1 (this machine alone), 0.0.0.0 or ::")
    return bare


def folder(value: Path) -> Path:
    """A path that every program we start can be given; `~` is the user's home."""
    if any(ord(character) < 32 or 0xD800 <= ord(character) <= 0xDFFF for character in str(value)):
        raise ValueError("a path in UTF-8, without line breaks and control characters")
    if any(len(os.fsencode(part)) > _NAME_BYTES for part in value.parts):
        raise ValueError(f"a path each part of which has at most {_NAME_BYTES} bytes")
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("there is no home to put in the place of ~; write the whole path") from None


def readable_file(value: Path) -> Path:
    """A file that is there, and that this user may read."""
    if not (path := folder(value)).is_file() or not os.access(path, os.R_OK):
        raise ValueError("a file that is there and that this user can read")
    return path


def json_of(kind: type, example: str) -> Callable[[object], object]:
    """For settings that are written as JSON: what the text holds, if it is a *kind*."""

    def parse(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            found = json.loads(value)
        except ValueError:
            found = None
        if not isinstance(found, kind):
            raise ValueError(f"JSON, like {example}")
        return found

    return parse


def word(value: object) -> object:
    """For settings that are one of a few words: capitals and blanks around do not count; `warn` is `warning`."""
    if not isinstance(value, str):
        return value
    found = value.strip().lower()
    return {"warn": "warning"}.get(found, found)


def secret_name(name: str) -> str:
    """What an endpoint's headers can name."""
    if not SECRET_NAME.fullmatch(name):
        raise ValueError(f"names of secrets have {SECRET_NAME_TOLD}")
    return name


def header_value(value: SecretStr | None) -> SecretStr | None:
    """What can be sent in an HTTP header, and what a vendor's page shows to be copied."""
    if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("letters, digits and signs of ASCII, without blanks")
    return value


def one_line(value: SecretStr | None) -> SecretStr | None:
    """What signs or is typed: what a file or an editor added to its ends would make another of it."""
    if value is not None:
        text = value.get_secret_value()
        if any(ord(sign) < 32 or 0xD800 <= ord(sign) <= 0xDFFF for sign in text) or text != text.strip():
            raise ValueError("one line of UTF-8, without blanks at its ends")
    return value


def header_text(value: SecretStr) -> SecretStr:
    """The same, with blanks between words, as in `Bearer …`."""
    if not re.fullmatch(r"[!-~]([\t -~]*[!-~])?", value.get_secret_value()):
        raise ValueError("one line of ASCII, without blanks at its ends: it is sent in a header")
    return value


def masked(text: str) -> str:
    """An address for messages and logs: nothing of a password, whatever signs it holds, nor of one in the query.

    With or without a scheme. A database's user is shown; elsewhere a name alone may be the secret.
    """
    scheme, found, rest = text.partition("://")
    if not found or not _SCHEME.fullmatch(scheme):
        return _without_secrets(_without_name(text))
    try:
        database_url(f"postgresql://{rest}")
    except ValueError:
        return f"{scheme}://{_without_secrets(_without_name(rest)) if '@' in rest else _HIDDEN}"
    name, at, place = rest.rpartition("@")
    user, has_password, _ = name.partition(":")
    if not at or scheme not in _DATABASES:
        return f"{scheme}://{_without_secrets(_without_name(rest))}"
    return f"{scheme}://{user}{f':{_HIDDEN}' if has_password else ''}@{_without_secrets(place)}"


def masked_within(text: str) -> str:
    """Running text, with each address in it as `masked` shows it."""
    return _ADDRESS.sub(lambda found: masked(found[0]), text)


def _without_name(address: str) -> str:
    """A password may hold any sign, so the last @ ends it."""
    _, at, place = address.rpartition("@")
    return f"{_HIDDEN}@{place}" if at else address


def _without_secrets(place: str) -> str:
    """Parameters of a query, and of libpq's `name=value` form."""
    return _SECRET_PARAMETER.sub(rf"\1{_HIDDEN}", place)


def _parts(value: str, wanted: str, *, hosts_may_be_several: bool = False) -> SplitResult:
    """*value* parsed; ValueError(*wanted*), which quotes nothing, where that cannot be done."""
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(wanted) from None
    places = parts.netloc.rpartition("@")[2]
    for place in places.split(",") if hosts_may_be_several else [places]:
        _, _, port = place.rpartition("]")[2].partition(":")
        if port and not (_PORT.fullmatch(port) and 0 < int(port) <= 65_535):
            raise ValueError(wanted)
    return parts
