"""Which variables of the environment reach our processes: none by which another tool means something else.

The list for the running program, with its reasons; what the installation drops is in the Makefile, which must
know the names of `_OF_PYTHON`, and in `tools/bootstrap.py`. Our own programs get everything that is not listed here
(settings, proxies, certificates, time zone); servers that we start get only what they need (`for_servers`).
"""

from __future__ import annotations

import io
import locale
import os
import pwd
import sys
from collections.abc import Mapping, MutableMapping

from config.proxies import usable_proxies

_NO_HOME = "/nonexistent"  # as in /etc/passwd of accounts without a home

_OF_PYTHON = (
    # Where modules come from: somebody's `launch`, `config` or sitecustomize would be imported instead of ours.
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONEXECUTABLE", "PYTHONPLATLIBDIR", "PYTHONSTARTUP"),
    # How a program runs: warnings as errors, no assertions, a prompt at the end, traces on standard error.
    *("PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONOPTIMIZE", "PYTHONINSPECT", "PYTHONBREAKPOINT"),
    *("PYTHONDEBUG", "PYTHONVERBOSE", "PYTHONPROFILEIMPORTTIME", "PYTHONCASEOK"),
)

_OF_LIBRARIES = (
    # uvicorn: several processes where we expect one; whose X-Forwarded-… are believed.
    *("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"),
    # urllib and the HTTP client take this for a sign of CGI and then ignore HTTP_PROXY.
    "REQUEST_METHOD",
)
_PREFIXES_OF_LIBRARIES = (
    # uvicorn's options as variables.
    "UVICORN_",
    # libpq, asyncpg and postgres: another server, user, port, certificate or service file. DATABASE_URL says it all.
    "PG",
)

_FOR_SERVERS = ("PATH", "TMPDIR", "TZ", "SYSTEMROOT")
"""PostgreSQL and Temporal need no more. Left out with reason: HOME and XDG_CONFIG_HOME (configuration files),
TEMPORAL_…, PG…, GO… and OTEL_… (options), LD_… (other libraries than the wheels' own), proxies, LC_… and LANG."""


def for_python(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The environment in which Python must be started anew; None where it is right already."""
    wrong = [name for name in _OF_PYTHON if name in environment]
    utf8 = sys.flags.utf8_mode or _is_utf8(locale.getencoding()) or environment.get("PYTHONUTF8") == "1"
    if not wrong and utf8:
        return None
    return {name: value for name, value in environment.items() if name not in wrong} | {"PYTHONUTF8": "1"}


def prepare(environment: MutableMapping[str, str]) -> None:
    """Cleans *environment*, and makes umask, home and output of this process such as we can work with."""
    clean(environment)
    environment.update(usable_proxies(environment))
    os.umask(0o077)  # whatever it was: our files are their owner's; what others may pass is opened by name
    if not environment.get("HOME") and not _has_home():
        environment["HOME"] = _NO_HOME
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed
            _never_fails_to_show(stream, environment)


def clean(environment: MutableMapping[str, str]) -> None:
    """Removes what the libraries that we use would read and take for theirs."""
    for name in list(environment):
        if name in _OF_LIBRARIES or name.startswith(_PREFIXES_OF_LIBRARIES):
            del environment[name]


def for_servers(environment: Mapping[str, str]) -> dict[str, str]:
    """All that PostgreSQL's and Temporal's own programs get of *environment*."""
    kept = {name: environment[name] for name in _FOR_SERVERS if name in environment}
    return {**kept, "HOME": _NO_HOME, "LC_ALL": "C"}


def _never_fails_to_show(stream: io.TextIOWrapper, environment: Mapping[str, str]) -> None:
    """The terminal's own encoding, and a question mark for what it cannot show."""
    terminal = locale.getencoding()
    known = environment.get("PYTHONIOENCODING") or _is_utf8(terminal) or terminal.upper().startswith(("ANSI", "US-"))
    stream.reconfigure(encoding=None if known else terminal, errors="replace")


def _is_utf8(encoding: str) -> bool:
    return encoding.lower().replace("-", "") == "utf8"


def _has_home() -> bool:
    try:
        return bool(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return False
