"""What stops a start, said so that one line is enough for the user."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LaunchError(Exception):
    """The system cannot start or go on. The message is one line: what is wrong, and what to do about it."""


class StopRequested(Exception):
    """The user asked for the end before everything had started."""


def refused(error: OSError) -> str:
    """What the system refused, as one line with the path that it is about, where there is one."""
    said = error.strerror or str(error)
    if error.filename is None:
        return f"the system refused something that is needed: {said}; `agent doctor` looks at this machine"
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else error.filename
    if error.errno in NO_ROOM:
        return f"{path} cannot be written ({said}); make room on its disk"
    return f"{path} cannot be used ({said}); mend it or its owner and mode, or move it away"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError of its block is about *path*: writing to an open file names none, or one that only we know."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
