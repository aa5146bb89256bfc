"""`agent …` as a process of its own, or said in this one: a process costs a second of the processor's time.

What a command refuses or shows is the same either way. Its start and its end are a process's, so each kind of them is
tried as one too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from pathlib import Path

from typer.testing import CliRunner

from tests.support.waiting import LONGEST_SECONDS

AGENT = Path(sys.executable).with_name("agent")
_OURS = ("DATABASE_URL", "TEMPORAL_ADDRESS", "PERPLEXITY_BASE_URL", "PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def agent(folder: Path, *words: str | bytes, answer: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run in *folder*, away from any `.env`, with the data folder there; *answer* comes through its standard input."""
    kept = {name: value for name, value in os.environ.items() if name not in _ours()}
    environment = {**kept, "DATA_DIR": str(folder / "data"), **settings}
    return subprocess.run(
        [AGENT, *words],
        input=answer,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
    )


def agent_here(folder: Path, *words: str, answer: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """The same without the process: in a thread, for most commands have an event loop of their own."""
    from cli.main import app

    environment = {**dict.fromkeys(_ours()), "DATA_DIR": str(folder / "data"), **settings}
    with chdir(folder), ThreadPoolExecutor(1) as thread:
        saying = thread.submit(CliRunner().invoke, app, words, input=answer, env=environment, catch_exceptions=False)
        done = saying.result(LONGEST_SECONDS)
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


def _ours() -> set[str]:
    """What a command is not to have from the environment of the tests."""
    return {name for name in os.environ if name in _OURS or name.lower() in _PROXIES}
