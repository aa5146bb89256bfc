"""The end that nobody foresaw: one line for the user, the whole story in a file that only they can read."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import SecretStr

from cli.plain import plain
from config.settings import Settings, load_settings
from config.values import masked_within

_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD")
_SHORTEST_SECRET = 6
"""Characters: shorter values would blank ordinary words."""

_LIBRARYS_PAGE = re.compile(r"\s*\(Background on this error at: [^)]*\)")
_LONGEST_LINE = 400


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the program with exit code 1 and one line where its block raises an exception."""
    try:
        yield
    except Exception as error:
        story = _kept("".join(traceback.format_exception(error)))
        cause = _beginning_of(error)
        words = without_secrets(plain(str(cause)))[:_LONGEST_LINE]
        command = " ".join(["agent", *sys.argv[1:2]])
        with suppress(OSError):  # nobody may be left to read it
            print(f"{command}: unexpected {type(cause).__name__}: {words} ({story})", file=sys.stderr, flush=True)
        sys.exit(1)


def _beginning_of(error: BaseException) -> BaseException:
    """What a database's driver raised, where a library wrapped it in words of its own."""
    driver = getattr(error, "orig", None)
    return driver.__cause__ or driver if isinstance(driver, BaseException) else error


def without_secrets(text: str) -> str:
    """*text* without the password of any address, and without the values of this process's secret settings."""
    text = masked_within(_LIBRARYS_PAGE.sub("", text))
    for secret in sorted(_secrets(), key=len, reverse=True):  # one may be the beginning of another
        text = text.replace(secret, "…")
    return text


def _secrets() -> set[str]:
    """Of the settings, `.env` included, and of the environment, which holds those of other programs too."""
    found = {value for name, value in os.environ.items() if _SECRET.search(name.upper())}
    settings = _settings()
    for value in dict(settings).values() if settings else ():
        within = value.values() if isinstance(value, Mapping) else [value]
        found |= {each.get_secret_value() for each in within if isinstance(each, SecretStr)}
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def _settings() -> Settings | None:
    """None where they cannot be read: that must not hide what has happened."""
    try:
        return load_settings()
    except Exception:
        return None


def _kept(story: str) -> str:
    """Where the traceback stands, as text."""
    settings = _settings()
    data = settings.data_dir if settings else Path(os.environ.get("DATA_DIR") or ".data")
    for folder in (data / "logs", Path(tempfile.gettempdir())):
        try:
            number, path = tempfile.mkstemp(prefix="crash-", suffix=".log", dir=folder)
            with os.fdopen(number, "w", encoding="utf-8", errors="replace") as file:
                file.write(without_secrets(story))
            return f"more in {path}"
        except OSError:
            continue
    return "no room to keep more"
