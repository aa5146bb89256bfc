"""Folders with just the mode that is wanted; JSON files that are there whole or not at all, for their owner only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launch.failures import naming


def make_folder(folder: Path, mode: int) -> None:
    """Makes *folder* and what is missing above it, each with exactly *mode*: the umask has no say. Raises OSError."""
    missing = [step for step in (folder, *folder.parents) if not step.exists()]
    for step in reversed(missing):
        step.mkdir(exist_ok=True)
        step.chmod(mode)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces *path* in one step. Raises OSError, with the path; then it is as it was."""
    with naming(path), beside(path) as unfinished:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A place for what is to replace *path*, in the same folder; nothing stays there if it comes to nothing."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """What *path* holds; empty if it is not there, cannot be read, or is not an object. A pipe is not waited for."""
    try:
        if not path.is_file():
            return {}
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
