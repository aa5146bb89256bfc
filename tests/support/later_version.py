"""A version of `storage/` that comes after this one: a copy, with what a test changes in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import storage
from storage.migrate import newest_revision
from tests.support.waiting import LONGEST_SECONDS

REVISION = "later"
_MIGRATION = f"""
from alembic import op
revision, down_revision = "{REVISION}", "{newest_revision()}"
def upgrade():
"""


class LaterVersion:
    """*steps*: what its one migration does, a statement of Python each; without any it has no migration."""

    def __init__(self, folder: Path, *steps: str) -> None:
        self._folder = folder
        self._storage = folder / "storage"
        shutil.copytree(Path(storage.__file__).parent, self._storage, ignore=shutil.ignore_patterns("__pycache__"))
        if steps:
            body = "".join(f"    {step}\n" for step in steps)
            (self._storage / f"migrations/versions/{REVISION}.py").write_text(_MIGRATION + body)

    def edit(self, name: str, old: str, new: str) -> None:
        """In the file of functions of that name."""
        path = self._storage / "sql" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def add(self, name: str, statements: str) -> None:
        (self._storage / "sql" / name).write_text(statements)

    def remove(self, name: str) -> None:
        (self._storage / "sql" / name).unlink()

    def agent(self, *words: str) -> list[str]:
        """The command by which *words* are told to the `agent` of this version, which is nowhere installed."""
        paths = f"import sys; sys.path.insert(0, {str(self._folder)!r})"
        return [sys.executable, "-c", f"{paths}; from cli.main import app; app()", *words]

    def migrate(self, *urls: str) -> None:
        """What `agent migrate` does at each, in one process."""
        code = f"import sys; sys.path.insert(0, {str(self._folder)!r}); from storage.migrate import upgrade"
        each = f"{code}; [upgrade(url, {LONGEST_SECONDS}) for url in sys.argv[1:]]"
        subprocess.run([sys.executable, "-c", each, *urls], check=True, timeout=LONGEST_SECONDS)
