"""The temporary files of a run in memory, where the machine has room there: `/dev/shm`, as Linux has it.

Every system of the tests has a database of its own, three hundred files. Making them on a disk's file system takes the
processor several times as long. What a run leaves, it leaves in one folder, and that goes with it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30
"""Twice what a run as root has there at its end; the data folders of one that is not root go with their tests."""


@contextmanager
def temporary_files_in_memory() -> Iterator[None]:
    """Of this process and its children, unless TMPDIR says already where they go."""
    if "TMPDIR" in os.environ or not _has_room():
        yield
        return
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="agent-tests-", dir=_MEMORY, ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o1777)  # as /tmp: the database's account comes in too
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            yield
        finally:
            del os.environ["TMPDIR"]
            tempfile.tempdir = before


def _has_room() -> bool:
    """Programs start from there too: it must let them."""
    if not os.access(_MEMORY, os.W_OK | os.X_OK) or os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC:
        return False
    return min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) > _ROOM_BYTES
