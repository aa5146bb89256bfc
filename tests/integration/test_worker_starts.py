"""A worker's start: its port for metrics, and a Temporal that dies while its schedules are made."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.api.common.v1 import GrpcStatus
from temporalio.client import Client, CreateScheduleInput, Interceptor, OutboundInterceptor, ScheduleHandle
from temporalio.service import RPCError, RPCStatusCode

from tests.ports import free_port
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.worker_process import AGENT, worker_process
from worker.schedules import SWEEP, ensure_schedules

ROOT = Path(__file__).parents[2]


@dataclass
class DyingTemporal(Interceptor):
    """Unavailable for the first calls that make a schedule."""

    deaths: int
    made: list[str] = field(default_factory=list)

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Dying(next, self)


class _Dying(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, state: DyingTemporal) -> None:
        super().__init__(next)
        self._state = state

    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:
        if self._state.deaths:
            self._state.deaths -= 1
            raise RPCError("connection refused", RPCStatusCode.UNAVAILABLE, GrpcStatus().SerializeToString())
        self._state.made.append(input.id)
        return await super().create_schedule(input)


async def test_schedules_are_made_once_temporal_is_back(system: System) -> None:
    dying = DyingTemporal(deaths=1)
    client = Client(**{**system.temporal.config(), "interceptors": [dying]})

    await ensure_schedules(client, system.settings)

    assert (dying.deaths, dying.made) == (0, [SWEEP])


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.1"])
async def test_metrics_are_shown_whatever_host_is_called(system: System, host: str) -> None:
    port = free_port()
    shown = f"http://{'[::1]' if ':' in host else host}:{port}/metrics"

    async with worker_process(system, HOST=host, WORKER_METRICS_PORT=str(port)) as worker, httpx2.AsyncClient() as http:

        async def look() -> Any:
            try:
                return (await http.get(shown)).text
            except httpx2.TransportError as error:
                return f"{error!r} {worker.process.returncode} {worker.said()}"

        await until("the SDK's metrics", look, lambda text: "temporal_" in text)


async def test_a_worker_shows_what_it_counted_itself(postgres_url: str, temporal_address: str) -> None:
    """The API counts in a process of its own, which cannot know of a worker's turns."""
    shown = f"http://127.0.0.1:{(port := free_port())}/metrics"
    async with (
        running_system(postgres_url, temporal_address, worker=False) as system,
        worker_process(system, WORKER_COUNTERS_PORT=str(port)) as worker,
        httpx2.AsyncClient() as http,
    ):
        counted = 'agent_failures_total{kind="connect"}'

        async def of_api() -> list[str]:  # this process, in which other tests have counted, too
            return [line for line in (await system.http.get("/metrics")).text.splitlines() if line.startswith(counted)]

        before = await of_api()
        waiting = asyncio.create_task(system.http.post("/api/message", json={"customer_id": "c-1", "text": "Hello"}))

        async def look() -> str:
            try:
                return (await http.get(shown)).text
            except httpx2.TransportError as error:
                return f"{error!r} {worker.process.returncode} {worker.said()}"

        await until("a question that could not be put, counted", look, lambda text: counted in text)
        waiting.cancel()
        assert await of_api() == before


def test_compose_gives_each_worker_a_port_for_what_it_counts() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    documented = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    for setting in ("WORKER_METRICS_PORT", "WORKER_COUNTERS_PORT"):
        [port] = re.findall(rf'{setting}: "([0-9]+)"', compose)
        assert f"`worker:{port}`" in documented


@pytest.mark.processes
def test_one_port_for_both_kinds_of_metrics_is_told_in_one_line(tmp_path: Path) -> None:
    port = str(free_port())
    environment = {
        **os.environ,
        "DATABASE_URL": "postgresql://127.0.0.1:9/none",
        "PERPLEXITY_BASE_URL": "http://127.0.0.1:9",
        "WORKER_METRICS_PORT": port,
        "WORKER_COUNTERS_PORT": port,
        "DATA_DIR": str(tmp_path),
    }

    done = subprocess.run([AGENT, "worker"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30)

    told = f"agent: WORKER_COUNTERS_PORT: got {port}, as WORKER_METRICS_PORT did; give each a port of its own\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.parametrize("setting", ["WORKER_METRICS_PORT", "WORKER_COUNTERS_PORT"])
async def test_a_port_for_metrics_that_is_taken_is_told_in_one_line(
    system: System, tmp_path: Path, setting: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {
            **os.environ,
            "DATABASE_URL": system.settings.database_url or "",
            "PERPLEXITY_BASE_URL": "http://127.0.0.1:9",
            setting: str(port),
            "DATA_DIR": str(tmp_path),
        }
        command = [AGENT, "worker"]
        done = await asyncio.to_thread(
            subprocess.run, command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30
        )

    told = f"agent: {setting}: port {port} is taken on 127.0.0.1; "
    assert (done.returncode, done.stderr.startswith(told), len(done.stderr.splitlines())) == (2, True, 1), done
