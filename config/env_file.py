"""`.env` as people's editors leave it: read when it can be, else one line that says what is wrong and the remedy."""

from __future__ import annotations

import difflib
import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from dotenv.parser import parse_stream

_CLOSE = 0.85
"""How alike a name of `.env` and a setting's are when the one is a slip of the other; 1 is the same."""


class EnvFileError(Exception):
    """`.env` cannot be read as it is. The message is one line."""


def check_env_file(path: Path) -> None:
    """Raises EnvFileError. A file that is not there is fine."""
    text = _text(path)
    line = 1
    for binding in parse_stream(io.StringIO(text)):
        blank = len(binding.original.string) - len(binding.original.string.lstrip())
        begins = line + binding.original.string[:blank].count("\n")
        if binding.error:
            raise EnvFileError(f"{path}: line {begins} is not NAME=value (a quote that is not closed?); mend the line")
        line += binding.original.string.count("\n")


def slips(path: Path, known: Iterable[str]) -> list[str]:
    """One line for each name in *path* that is no setting and looks like one."""
    settings, found = sorted(known), []
    for name in names_in(path):
        if name in settings:
            continue
        if close := difflib.get_close_matches(name, settings, 1, _CLOSE):
            found.append(f"{path}: {name} is not a setting; {close[0]} is")
    return found


def names_in(path: Path) -> list[str]:
    """What is set in *path*, in capitals."""
    return [binding.key.upper() for binding in parse_stream(io.StringIO(_text(path))) if binding.key]


def _text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():  # reading a pipe may never end
            raise EnvFileError(f"{path}: is no file, and a file of settings is expected there; move it away")
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except IsADirectoryError:
        raise EnvFileError(f"{path}: is a folder, and a file of settings is expected there; move it away") from None
    except OSError as error:
        raise EnvFileError(
            f"{path}: cannot be read by {_me()} ({error.strerror}); make it yours (chown), or move it away"
        ) from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise EnvFileError(f"{path}: is UTF-16, not UTF-8; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EnvFileError(
            f"{path}: line {line} is not UTF-8; save it as UTF-8 (iconv -f ISO-8859-1 -t UTF-8)"
        ) from None


def _me() -> str:
    return f"user {os.geteuid()}"
