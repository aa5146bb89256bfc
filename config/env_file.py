"""`.env` as people's editors leave it: read when it can be, else one line that says what is wrong and the remedy."""

from __future__ import annotations

import difflib
import io
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from dotenv.parser import Binding, parse_stream

_CLOSE = 0.85
"""How alike a name of `.env` and a setting's are when the one is a slip of the other; 1 is the same."""

_MARKS_OF_UTF_16, _MARKS_OF_UTF_32 = (b"\xff\xfe", b"\xfe\xff"), (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
_WIDE = (("UTF-32", _MARKS_OF_UTF_32, 0.6), ("UTF-16", _MARKS_OF_UTF_16, 0.25))
"""Encodings, their marks, and the least share of NUL bytes in a file of names and values without a mark."""


class EnvFileError(Exception):
    """`.env` cannot be read as it is. The message is one line."""


def check_env_file(path: Path) -> None:
    """Raises EnvFileError. A file that is not there is fine."""
    line = 1
    for binding in _bindings(path):
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
    return [binding.key.upper() for binding in _bindings(path) if binding.key]


def values_in(path: Path) -> dict[str, str]:
    """What is set in *path*, by names in small letters, as it is written: nothing is put in the place of `${…}`."""
    return {binding.key.lower(): binding.value for binding in _bindings(path) if binding.key and binding.value}


def _bindings(path: Path) -> Iterator[Binding]:
    return parse_stream(io.StringIO(_text(path), newline=None))


def _text(path: Path) -> str:
    try:
        found = path.stat()
        if os.path.samestat(found, os.stat(os.devnull)):  # a usual way to say: none
            return ""
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):  # reading a pipe may never end
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
    if told := _not_utf8(content):
        raise EnvFileError(f"{path}: {told}")
    return content.decode("utf-8-sig")


def _not_utf8(content: bytes) -> str | None:
    """What *content* is instead, and the remedy. None where it can be read."""
    for encoding, marks, least_nuls in _WIDE:
        if content.startswith(marks) or content.count(0) > least_nuls * len(content):
            return (
                f"is {encoding}, not UTF-8; save it as UTF-8 (iconv -f {_in_which_order(encoding, content)} -t UTF-8)"
            )
    if (stray := content.find(0)) >= 0:
        return f"line {_line_of(content, stray)} holds a NUL character, which no editor shows; write the line anew"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return (
            f"line {_line_of(content, error.start)} is not UTF-8; save it as UTF-8 in the editor that wrote it"
            " (or iconv -f THE_ENCODING -t UTF-8, which is often WINDOWS-1252 or GB18030)"
        )
    return None


def _in_which_order(encoding: str, content: bytes) -> str:
    """iconv's name of it: without a mark it would take the machine's own order of bytes."""
    if content.startswith((*_MARKS_OF_UTF_16, *_MARKS_OF_UTF_32)):
        return encoding
    return f"{encoding}{'BE' if content.startswith(bytes(1)) else 'LE'}"


def _line_of(content: bytes, place: int) -> int:
    return content.count(b"\n", 0, place) + 1


def _me() -> str:
    return f"user {os.geteuid()}"
