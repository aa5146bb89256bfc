"""Temporal's dev server: its command line, and whether it is there.

Its flags are those of `temporal server start-dev --help`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from config.environment import for_servers
from launch.failures import LaunchError
from schemas.operations import SEARCH_ATTRIBUTES

_LOCAL = "127.0.0.1"
_HEALTH_SECONDS = 5.0
_ON_A_FILE = ("journal_mode=WAL", "synchronous=NORMAL")
_POLLS_PER_SECOND = {
    "history.transferProcessorMaxPollRPS": 2_000,
    "history.timerProcessorMaxPollRPS": 2_000,
    "history.visibilityProcessorMaxPollRPS": 200,
}
"""Unless raised, each step of a workflow waits up to 50 ms for the next look into the file."""


def temporal_command(
    port: int, ui_port: int, db_file: Path | None, namespace: str = "default", log_level: str = "warn"
) -> list[str]:
    """`temporal server start-dev …`. Raises LaunchError: no `temporal` here.

    *db_file* None: everything in memory; else it must be started in that file's folder: the program makes an address
    of the name it gets, in which the `?`, `#` and `%` of a path would mean something else.
    """
    command = [_program(), "server", "start-dev", "--ip", _LOCAL, "--port", str(port), "--ui-port", str(ui_port)]
    command += ["--namespace", namespace, "--log-level", log_level, "--log-format", "json", "--ui-disable-news-fetch"]
    for name, kind in SEARCH_ATTRIBUTES.items():
        command += ["--search-attribute", f"{name}={kind}"]
    for name, value in _POLLS_PER_SECOND.items():
        command += ["--dynamic-config-value", f"{name}={value}"]
    if db_file is not None:
        command += ["--db-filename", db_file.name]
        command += [part for pragma in _ON_A_FILE for part in ("--sqlite-pragma", pragma)]
    return command


def is_serving(address: str) -> bool:
    """Whether the server at *address* (host:port) takes calls now."""
    command = [_program(), "operator", "cluster", "health", "--address", address]
    try:
        done = subprocess.run(
            command,
            env=for_servers(os.environ),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_HEALTH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and "SERVING" in done.stdout.split()


def _program() -> str:
    """The wheel's `temporal` beside our Python; elsewhere (no wheel for this machine) the one on PATH."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise LaunchError("there is no `temporal` command: run `make install`, or set TEMPORAL_ADDRESS")
    return found
