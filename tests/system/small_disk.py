"""A small disk that can be filled and emptied: a tmpfs, which needs root and the right to mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import LONGEST_SECONDS

_BLOCK = b"x" * 65_536


class SmallDisk:
    """*folder*: what lies on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Until not a byte more can be written."""
        for block in (_BLOCK, b"x"):
            with self._filler.open("ab", buffering=0) as file:
                try:
                    while True:
                        file.write(block)
                except OSError:
                    continue

    def empty(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk | None]:
    """None where it cannot be made."""
    folder.mkdir(exist_ok=True)
    options = f"size={megabytes}m,mode=711"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, timeout=LONGEST_SECONDS).returncode:
        yield None
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, timeout=LONGEST_SECONDS)
