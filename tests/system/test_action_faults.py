"""The worker is killed while an action is under way: never done twice, and a doubtful one is said to be so."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.endpoint_server import Service, running_service
from tests.support.waiting import LONGEST_SECONDS, until_blocking
from tests.system.running import AGENT, Program, running

pytestmark = pytest.mark.chaos

CONFIG = """
actions:
  endpoints:
    - name: order
      description: Orders something
      method: POST
      safe: true
      safe_because: a test
      url: "http://{host}/slow"
      time_limit_seconds: 30
"""
CALL = '{"action": "api_call", "reason": "Asked for it", "metadata": {"endpoint": "order", "params": {}}}'


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[Program]:
    hosts = f'["{service.host}"]'
    yield from running(tmp_path_factory.mktemp("actions") / "data", ENDPOINT_PRIVATE_HOSTS=hosts)


def apply(program: Program, folder: Path, text: str) -> None:
    file = folder / "assistant.yaml"
    file.write_text(text)
    environment = {**os.environ, "DATA_DIR": str(program.folder)}
    done = subprocess.run(
        [AGENT, "assistant", "apply", file], env=environment, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr


def says(output: str) -> str:
    """A message that the simulator answers with exactly *output*."""
    return f"[[sim: reply=base64:{base64.b64encode(output.encode()).decode()}]]"


def test_a_call_whose_worker_dies_is_made_once_and_is_unknown(
    program: Program, service: Service, tmp_path: Path
) -> None:
    apply(program, tmp_path, CONFIG.format(host=service.host))
    waiting = ThreadPoolExecutor(1).submit(program.insist, says(CALL), "m-0", "caller")
    until_blocking("a call of the service", lambda: service.requests)

    program.kill("worker")
    turn = waiting.result(LONGEST_SECONDS)

    assert program.faults == 1
    assert len(service.requests) == 1
    assert turn["action"]["status"] == "unknown"
    assert "could not make sure" in turn["reply"]["text"]
