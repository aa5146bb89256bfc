"""Stored histories of every path still replay: no change of the workflows leaves a living conversation stuck."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.record_histories import FOLDER, SCENARIOS
from worker.app import SANDBOX
from workflows.conversation import Conversation
from workflows.sweep import Sweep


def _stored(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


HISTORIES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_stored_history_replays(path: Path) -> None:
    replayer = Replayer(
        workflows=[Conversation, Sweep], data_converter=pydantic_data_converter, workflow_runner=SANDBOX
    )

    await replayer.replay_workflow(_stored(path))


@pytest.mark.parametrize("name", [scenario.__name__ for scenario, _ in SCENARIOS])
def test_every_scenario_has_a_stored_history(name: str) -> None:
    assert [path for path in HISTORIES if path.stem.startswith(f"{name}-")]
