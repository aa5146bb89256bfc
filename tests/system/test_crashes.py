"""What nobody foresaw is one line too, and the whole story lies where the line says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SETTINGS = ("DATA_DIR", "API_KEY", "ENDPOINT_SECRETS")
CODE = """
from cli.crashes import told_in_one_line

with told_in_one_line():
    address = "postgresql://ana:hidden@db/x"
    raise RuntimeError(f"first line\\n  {address} and very-secret-value (Background on this error at: x)")
"""


def test_an_unforeseen_end(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "API_KEY": "very-secret-value"}

    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=20)

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


FROM_FILE = """
from cli.crashes import told_in_one_line

with told_in_one_line():
    raise RuntimeError("very-secret-value and the-crm-token")
"""


def test_settings_of_an_env_file_count_too(tmp_path: Path) -> None:
    (tmp_path / "kept" / "logs").mkdir(parents=True)
    lines = ["DATA_DIR=kept", "API_KEY=very-secret-value", """ENDPOINT_SECRETS='{"crm": "the-crm-token"}'"""]
    (tmp_path / ".env").write_text("\n".join(lines))

    line = crashed(FROM_FILE, tmp_path)

    assert "unexpected RuntimeError: … and … (more in " in line
    (story,) = (tmp_path / "kept" / "logs").iterdir()
    assert "Traceback" in story.read_text()
    assert not any(secret in story.read_text() for secret in ("very-secret-value", "the-crm-token"))


def test_the_environment_counts_where_the_settings_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()

    line = crashed(FROM_FILE, tmp_path, DATA_DIR=str(tmp_path), API_KEY="very-secret-value", PORT="none")

    assert f"unexpected RuntimeError: … and the-crm-token (more in {tmp_path}/logs/crash-" in line


def crashed(code: str, folder: Path, **settings: str) -> str:
    """The one line of *code*, run in *folder* with *settings* alone."""
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | settings
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=20)
    (line,) = done.stderr.splitlines()
    return line
