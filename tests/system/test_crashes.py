"""What nobody foresaw is one line too, and the whole story lies where the line says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CODE = """
from cli.crashes import told_in_one_line

with told_in_one_line():
    address = "postgresql://ana:hidden@db/x"
    raise RuntimeError(f"first line\\n  {address} and very-secret-value (Background on this error at: x)")
"""


def test_an_unforeseen_end(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "API_KEY": "very-secret-value"}

    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    line, *others = done.stderr.splitlines()
    assert not others
    assert "unexpected RuntimeError: first line postgresql://ana:…@db/x and … (more in " in line
    found = re.search(r"more in (\S+)\)$", line)
    assert found
    story = Path(found[1])
    assert story.parent == tmp_path / "logs"
    assert "Traceback" in story.read_text()
    assert "hidden" not in story.read_text()
    assert "very-secret-value" not in story.read_text()
    assert story.stat().st_mode & 0o077 == 0
