"""`agent doctor` names what is missing in somebody else's Temporal and PostgreSQL, and the command for it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.api.test_readiness import bare_namespace, without_attributes
from tests.system_in_process import System

__all__ = ["bare_namespace", "without_attributes"]

AGENT = Path(sys.executable).with_name("agent")


def examined(system: System, folder: Path) -> tuple[int, list[str]]:
    """Exit code, and the lines of what is wrong."""
    settings = system.settings
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url or "",
        "TEMPORAL_ADDRESS": settings.temporal_address or "",
        "TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "TEMPORAL_TASK_QUEUE": settings.temporal_task_queue,
        "DATA_DIR": str(folder),
    }
    done = subprocess.run([AGENT, "doctor"], cwd=folder, env=environment, capture_output=True, text=True, timeout=30)
    return done.returncode, [line for line in done.stdout.splitlines() if line.startswith("wrong")]


async def test_nothing_is_wrong(system: System, tmp_path: Path) -> None:
    await system.send("Hello")  # so a worker asked for work

    assert await asyncio.to_thread(examined, system, tmp_path) == (0, [])


async def test_a_database_and_a_temporal_that_nobody_prepared(without_attributes: System, tmp_path: Path) -> None:
    settings = without_attributes.settings
    await without_attributes.database.rows("DROP TABLE alembic_version")

    code, wrong = await asyncio.to_thread(examined, without_attributes, tmp_path)

    assert code == 1
    migrations, attributes = wrong[:2]
    assert "agent migrate" in migrations
    command = f"temporal operator search-attribute create --address {settings.temporal_address}"
    assert f"{command} --namespace {settings.temporal_namespace} --name ConversationState" in attributes
