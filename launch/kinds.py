"""What lies in DATA_DIR under our names is of the kind that we make there, and no link to nowhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from launch.failures import LaunchError


def check_kinds(*, files: Iterable[Path], folders: Iterable[Path], logs: Iterable[Path] = ()) -> None:
    """Raises LaunchError for the first that is there and of another kind. A log may be a device, as /dev/null is."""
    for file in files:
        check_file(file)
    for log in logs:
        if not log.is_char_device():
            check_file(log)
    for folder in folders:
        check_link(folder)
        if folder.exists() and not folder.is_dir():
            raise LaunchError(f"{folder} is no folder, and one is to be there: move it away, a new one is made")


def check_file(path: Path) -> None:
    check_link(path)
    if path.is_dir():
        raise LaunchError(f"{path} is a folder, and a file is to be there: move it away, a new one is made")
    if path.exists() and not path.is_file():  # whoever opens a pipe may wait for ever
        raise LaunchError(f"{path} is a pipe, socket or device, and a file is to be there: move it away")


def check_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise LaunchError(
            f"{path} leads to {path.readlink()}, which is not there: bring that back, or remove {path} to begin anew"
        )
