"""What a setting's text may be: addresses, paths, lists. Each function gives the value back, tidied, or a ValueError.

The errors' texts complete "NAME: got …; " and say what to do. None quotes its value: `load_settings` shows it, masked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network
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
_PORT_WANTED = "a port from 1 to 65,535 where a colon follows the host, like postgresql://user:password@host:5432/name"
_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/@\[\]%#?<>\\^|]+):([0-9]{1,5})")
_HIDDEN = "…"
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")
_EMAIL_CHARACTERS = 254
PASSWORD_CHARACTERS = (10, 1_000)
_NAME_BYTES = 255  # of every file system that we run on (NAME_MAX)
_PATH_BYTES = 3_500  # of the 4,096 that Linux takes: more is put below it
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9+.-]){_SCHEME.pattern}://\S*[^\s):,.;'\"\]}}>]"
    r"|(?<![^\s\"'(\[{<=,])[^\s:\"'(\[{<=,]+:\S*@\S+"
)
"""In running text: to the next blank, without signs that end a clause; without a scheme only where a name stands."""
_SECRET_PARAMETER = re.compile(
    r"((?:^|[?&#;\s])[^=&\s]*(?:password|passwd|pwd|key|token|secret)[^=&\s]*\s*=\s*)"
    r"(?:'(?:[^'\\]|\\.)*'(?=[\s&]|$)|.*?(?=&[^=&\s]+=|\s[^=&\s]+\s*=|$))",
    re.IGNORECASE | re.DOTALL,
)
"""Its value goes to the next parameter: a blank, `&` or quote in it may be the password's."""


def http_url(value: str | None) -> str | None:
    """An address of a service, without a slash at its end."""
    if value is None or not (value := value.strip()):
        return None
    wanted = "an http:// or https:// address, like https://host:8000"
    if not value.startswith(("http://", "https://")):
        raise ValueError(wanted)
    parts = _parts(value, wanted, wanted)
    if not parts.hostname or re.search(r"\s", value) or not _is_name(parts.hostname):
        raise ValueError(wanted)
    return value.rstrip("/")


_ORIGIN = re.compile(r"https?://[^/@?#*\s]+")


def origins(value: object) -> object:
    """Origins of pages as browsers name them: scheme, host and port alone."""
    if not isinstance(value, str):
        return value
    found = [each.lower().removesuffix("/") for each in re.split(r"[,\s]+", value) if each]
    for origin in found:
        if not _ORIGIN.fullmatch(origin) or http_url(origin) != origin:
            raise ValueError("origins of pages, like https://shop.example,https://www.shop.example:8443")
    return found or None


def database_url(value: str | None) -> str | None:
    """A PostgreSQL's address as `postgresql://…`."""
    if value is None or not (value := value.strip()):
        return None
    scheme, found, rest = value.partition("://")
    if not found or scheme not in _DATABASES:
        raise ValueError("the address of a PostgreSQL, like postgresql://user:password@host:5432/name")
    value = f"postgresql://{rest}"
    cut_off = "@" in "".join(re.split(r"[/?#]", rest, maxsplit=1)[1:])  # the port is a piece of a password then
    parts = _parts(value, _ENCODE, _ENCODE if cut_off else _PORT_WANTED, hosts_may_be_several=True)
    user, _, places = parts.netloc.rpartition("@")
    broken = "@" in user or "@" in parts.path or ("@" not in parts.netloc and "@" in parts.query) or "#" in value
    if broken or re.search(r"\s|%(?![0-9A-Fa-f]{2})", parts.netloc + parts.path) or re.search(r"\s", parts.query):
        raise ValueError(_ENCODE)
    if "," in places and not all(place.partition(":")[0] for place in places.split(",")):
        raise ValueError("a host on each side of every comma, like postgresql://user:password@one:5432,two:5432/name")
    return value


def host_and_port(value: str | None) -> str | None:
    """Where a server listens, as Temporal's programs want it."""
    if value is None or not (value := value.strip()):
        return None
    found = _HOST_PORT.fullmatch(value)
    if not found or not 0 < int(found[2]) <= 65_535 or not _is_name(found[1]):
        raise ValueError("host:port without a scheme, like temporal.internal:7233")
    return value


def _is_name(host: str) -> bool:
    """Whether *host* could be looked up: an address, or labels of a length that a name has."""
    try:
        if ":" in host:
            IPv6Address(host.strip("[]").partition("%")[0])
        host.encode("idna")
    except ValueError:  # UnicodeError is one
        return False
    return True


def temporals_name(value: str) -> str:
    """A namespace or task queue."""
    if not value.isprintable() or value != value.strip() or value.startswith("/_sys/"):
        raise ValueError("a name on one line, without blanks at its ends, that does not begin with /_sys/ (Temporal's)")
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
        found = value.expanduser()
    except RuntimeError:
        raise ValueError("there is no home to put in the place of ~; write the whole path") from None
    if len(os.fsencode(found)) > _PATH_BYTES:
        raise ValueError(f"a path of at most {_PATH_BYTES:,} bytes")
    return found


def readable_file(value: Path) -> Path:
    """A file that is there, and that this user may read."""
    if not os.path.isfile(path := folder(value)) or not os.access(path, os.R_OK):
        raise ValueError("a file that is there and that this user can read")
    return path


def json_of(kind: type, example: str) -> Callable[[object], object]:
    """For settings that are written as JSON: what the text holds, if it is a *kind*."""

    def parse(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
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


def email_address(value: str | None) -> str | None:
    """Of an account, in lower case."""
    if value is None or not (address := value.strip().lower()):
        return None
    if not _EMAIL.fullmatch(address) or not address.isprintable() or len(address) > _EMAIL_CHARACTERS:
        raise ValueError("an e-mail address, like ann@example.org")
    return address


def password(value: SecretStr | None) -> SecretStr | None:
    """Of an account."""
    if value is not None and (trouble := trouble_with_password(value.get_secret_value())):
        raise ValueError(trouble)
    return value


def trouble_with_password(text: str) -> str | None:
    """Why it can be nobody's, without showing it."""
    if not PASSWORD_CHARACTERS[0] <= len(text) <= PASSWORD_CHARACTERS[1]:
        return f"{PASSWORD_CHARACTERS[0]} to {PASSWORD_CHARACTERS[1]:,} characters"
    return "no NUL character" if "\x00" in text else None


def networks(value: object) -> object:
    """A list of addresses and networks, as JSON or with commas between them."""
    if not isinstance(value, str):
        return value
    wanted = "addresses and networks, like 127.0.0.1,10.0.0.0/8"
    try:
        found = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
        names = [str(each).strip() for each in found]
        for name in filter(None, names):
            ip_network(name)
    except (ValueError, RecursionError):
        raise ValueError(wanted) from None
    return [name for name in names if name]


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


def _parts(value: str, wanted: str, port_wanted: str, *, hosts_may_be_several: bool = False) -> SplitResult:
    """*value* parsed; ValueError(*wanted*), or *port_wanted*, which quote nothing, where that cannot be done."""
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(wanted) from None
    places = parts.netloc.rpartition("@")[2]
    for place in places.split(",") if hosts_may_be_several else [places]:
        _, _, port = place.rpartition("]")[2].partition(":")
        if port and not (_PORT.fullmatch(port) and 0 < int(port) <= 65_535):
            raise ValueError(port_wanted)
    return parts
