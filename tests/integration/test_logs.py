"""What the logs tell of a turn: enough to debug drift from them alone, and nothing they should not."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.testing import LogCapture

from config.logs import without_secrets
from integrations.perplexity.port import AskFailed
from schemas.failures import ModelFailureKind
from tests.system_in_process import System, running_system
from tests.worker_process import worker_process


@pytest.fixture
def lines() -> Any:
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[capture])
    yield capture.entries
    structlog.configure(processors=before)


async def test_one_line_a_turn_with_ids_verdict_timings_and_raw_output(lines: Any, system: System) -> None:
    response = await system.send("A private question", customer="c-9")

    turn = response.json()
    [line] = [line for line in lines if line["event"] == "turn"]
    assert line["conversation_id"] == turn["conversation_id"]
    assert line["turn_id"] == turn["turn_id"]
    assert line["backend_uuid"] == turn["thread"]["backend_uuid"]
    assert (line["status"], line["verdict"], line["attempt"]) == ("answered", "text", 1)
    assert line["raw_output"] == "You said: A private question"
    assert line["request_id"] == response.headers["X-Request-ID"]
    assert {"total_ms", "handler", "assistant_version"} <= set(line)
    assert 0 <= line["first_text_ms"] <= line["model_ms"]
    assert "customer_words" not in line


async def test_the_first_text_is_counted_though_nobody_watches_it(system: System) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("agent_first_text_seconds_count") or 0.0

    before = counted()
    await system.send("Hello")

    assert counted() == before + 1


async def test_a_failed_attempt_has_a_line_of_its_own(lines: Any, system: System) -> None:
    system.perplexity.scripts.append(AskFailed(ModelFailureKind.CUT, "broke off", retry_after=0.01, partial="Half"))

    await system.send("Hello")

    [line] = [line for line in lines if line["event"] == "turn_attempt_failed"]
    assert (line["failure"], line["raw_output"], line["retry_in_seconds"]) == ("cut", "Half", 0.01)


async def test_customers_words_and_long_outputs_as_the_settings_say(
    lines: Any, postgres_url: str, temporal_address: str
) -> None:
    settings = {"log_customer_words": True, "log_raw_output_characters": 10}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        await system.send("A private question")

    [line] = [line for line in lines if line["event"] == "turn"]
    assert line["customer_words"] == "A private question"
    assert line["raw_output"] == "You said: … (28 characters)"


@pytest.mark.parametrize("name", ["api_key", "Authorization", "access_token", "password", "app_secret", "set_cookie"])
def test_what_is_named_like_a_secret_is_hidden(name: str) -> None:
    assert without_secrets(None, "info", {name: "value", "event": "x"}) == {name: "[hidden]", "event": "x"}


async def test_a_worker_names_the_wrapper_without_its_password(system: System) -> None:
    async with worker_process(system, PERPLEXITY_BASE_URL="http://ana:hidden@127.0.0.1:9") as worker:
        await worker.until_said("worker_starting")

        assert '"perplexity": "http://…@127.0.0.1:9"' in worker.said()
        assert "hidden" not in worker.said()
