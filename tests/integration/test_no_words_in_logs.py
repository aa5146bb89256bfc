"""With LOG_RAW_OUTPUT_CHARACTERS=0 no line holds a word that the model, or upstream in its name, chose."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from integrations.perplexity.failures import from_error_text, from_exception, from_status
from integrations.perplexity.port import AskFailed
from schemas.actions import AssistantActions, Confirmation, Endpoint
from schemas.assistants import AssistantConfig
from schemas.failures import ModelFailureKind
from tests.system_in_process import System, running_system

MARK = "Unmistakable"
OPEN = Endpoint(
    name="open",
    description="Takes anything",
    url="https://shop.example/x",
    params_schema={
        "type": "object",
        "properties": {"map": {"type": "object", "additionalProperties": {"type": "integer"}}},
    },
)


def action(**more: Any) -> str:
    return json.dumps({"action": "handoff_sales", "reason": f"{MARK} reason", **more})


OUTPUTS = {
    "words": f"{MARK} words",
    "an unknown field": action(**{MARK: 1}),
    "an unknown field of metadata": action(metadata={f"{MARK} one": {MARK: 1}}),
    "a value that is not allowed": action(metadata={"urgency": MARK}),
    "a value that is too long": action(metadata={"product": MARK * 100}),
    "a value of a wrong type": action(metadata={"product": [MARK]}),
    "a number as a name": action(metadata={"4111111111111111": MARK}),
    "an unknown action": json.dumps({"action": f"handoff_sales_{MARK}", "reason": "r"}),
    "an unknown endpoint": json.dumps(
        {"action": "api_call", "reason": "r", "metadata": {"endpoint": MARK, "params": {}}}
    ),
    "a name below one that takes any": json.dumps(
        {"action": "api_call", "reason": "r", "metadata": {"endpoint": "open", "params": {"map": {MARK: "x"}}}}
    ),
    "a pack": action(pack=MARK, metadata={}),
    "a pack of an invalid one": action(pack=MARK, metadata={"x": 1}),
    "a pack that is too long": action(pack=MARK * 20),
    "a key that is there twice": f'{{"action": "handoff_sales", "{MARK}": 1, "{MARK}": 2, "reason": "r"}}',
    "no JSON": f'{{"action": "handoff_sales", "reason": "r", "metadata": {{"a" {MARK}: 1}}}}',
    "another object around it": json.dumps({MARK: {"action": "handoff_sales", "reason": "r"}}),
    "cut off": action()[:-5],
    "a name that cannot be stored": action(**{f"{MARK}\x00": 1}),
    "half a character in a name": f'{{"action": "handoff_sales", "reason": "r", "{MARK}\\ud800": 1}}',
}
FAILURES = {
    "an error's text": from_error_text(f"{MARK} quotes words"),
    "an error's body": from_status(500, {}, json.dumps({"error": f"{MARK}"}).encode(), 0.0),
    "a proxy's page": from_status(400, {}, MARK.encode(), 0.0),
    "an exception": from_exception(ValueError(MARK)),
    "half an answer": AskFailed(ModelFailureKind.CUT, "broke off", partial=f"{MARK} half", retry_after=0.01),
}


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, log_raw_output_characters=0) as system:
        actions = AssistantActions(endpoints=(OPEN,), confirmations={"handoff_sales": Confirmation.CUSTOMER}, repairs=0)
        await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
        yield system


async def test_no_output_leaves_a_word_in_a_line_and_each_is_answered(system: System) -> None:
    with capture_logs() as lines:
        for number, raw in enumerate(OUTPUTS.values()):
            system.perplexity.scripts.append(raw)
            answer = await system.send("Hello", customer=f"c-{number}")
            assert answer.status_code == 200, answer.text
    kept = await system.database.rows("SELECT errors, text FROM raw_outputs")

    told = [line for line in lines if line["event"] in ("turn", "turn_continues")]
    assert len(told) == len(kept) == len(OUTPUTS)
    assert all(line["raw_output"].startswith("… (") for line in told)
    assert "/metadata/urgency" in str(told)  # a name of ours stays
    assert [line for line in lines if MARK in str(line) or "4111111111111111" in str(line)] == []


async def test_no_failure_leaves_a_word_in_a_line(system: System) -> None:
    with capture_logs() as lines:
        for number, failure in enumerate(FAILURES.values()):
            failure.retry_after = 0.01
            system.perplexity.scripts.append(failure)
            await system.send("Hello", customer=f"c-{number}")
    kept = await system.database.rows("SELECT explanation || text AS words FROM raw_outputs WHERE failure IS NOT NULL")

    assert len([line for line in lines if line["event"] == "turn_attempt_failed"]) == len(FAILURES)
    assert all(MARK in row["words"] for row in kept)
    assert [line for line in lines if MARK in str(line)] == []
