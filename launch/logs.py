"""Log files of the parts: one a part under `logs/`, bounded in size, quoted when a part dies."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from launch.files import beside

_TAIL_BYTES = 4_096
_REASON = re.compile(r"\b(error|fatal|panic|could not|no space)\b", re.IGNORECASE)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def last_lines(path: Path, count: int, began: int = 0) -> list[str]:
    """The last lines that say something, at most *count*; none before *began*, unless the log was emptied since."""
    size = size_of(path)
    if not size:
        return []
    with path.open("rb") as log:
        log.seek(max(began if began <= size else 0, size - _TAIL_BYTES))
        text = log.read().decode(errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]


def in_words(line: str) -> str:
    """A line of our own JSON logs as `event: why`; any other as it is."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "event" not in entry:
        return line
    return ": ".join(str(entry[name]) for name in ("event", "why") if name in entry)


def last_line(text: str) -> str:
    """The last line of *text* that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")


def telling_line(text: str) -> str:
    """The first line of *text* that gives a reason; what a program says after it is only how it tidies up."""
    return next((line.strip() for line in text.splitlines() if _REASON.search(line)), last_line(text))


def keep_short(path: Path, max_bytes: int) -> None:
    """Moves a log of more than *max_bytes* aside (one old one is kept). Its writer appends, so it may go on writing.

    Raises OSError where there is no room for both; nothing is changed then.
    """
    if path.exists() and path.stat().st_size > max_bytes:
        with beside(path) as copy:
            shutil.copyfile(path, copy)
            copy.replace(path.with_suffix(".old.log"))
        with path.open("r+b") as log:
            log.truncate()
