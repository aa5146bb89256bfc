"""The bytes of customers' files: on disk under their SHA-256, whole or not at all. What is known of them is in
`storage.media`."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from config.settings import Settings


def folder_of(settings: Settings) -> Path:
    return settings.media_dir or settings.data_dir / "media"


def path_of(folder: Path, sha256: str) -> Path:
    """Where a kept file lies; its name says nothing of the customer's."""
    return folder / sha256[:2] / sha256


def write(folder: Path, sha256: str, content: bytes) -> None:
    """The same bytes twice are one file. Raises OSError."""
    path = path_of(folder, sha256)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
        temporary.write(content)
    os.replace(temporary.name, path)


def remove(folder: Path, sha256: str) -> None:
    """Does nothing for a file that is not there. Raises OSError."""
    path_of(folder, sha256).unlink(missing_ok=True)
