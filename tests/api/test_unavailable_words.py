"""A 503 says what is true of the call: only a message is kept, and sent again under its id."""

from __future__ import annotations

import time

import pytest

from api.readiness import readiness
from config.settings import Settings
from integrations.temporal.health import TemporalHealth
from storage.health import StorageHealth
from tests.silence import silence
from tests.system_in_process import running_system


async def test_only_a_message_is_kept(postgres_url: str) -> None:
    async with (
        silence() as silent,
        running_system(
            postgres_url,
            silent.address,
            worker=False,
            connected=False,
            reply_wait_seconds=0.5,
            temporal_look_seconds=0.2,
        ) as system,
    ):
        message = await system.send("Hello")
        began = time.monotonic()
        session = await system.session()
        took = time.monotonic() - began
        decision = {"digest": "0" * 64, "approved": True, "agent_name": "Ann"}
        decided = await system.http.post("/api/session/c-1/approval", json=decision)

    assert (message.status_code, decided.status_code) == (503, 503)
    assert "message_id" in message.json()["detail"]
    assert "message" not in decided.json()["detail"]
    assert "repeat the call" in decided.json()["detail"]
    assert session["run_id"] is None
    assert took < 2


@pytest.mark.parametrize("places", [{"temporal_address": "127.0.0.1:9302"}, {"temporal_port": 9302}])
def test_an_address_without_a_temporal_is_named(places: dict[str, object]) -> None:
    settings = Settings(_env_file=None, **places)  # type: ignore[call-arg, arg-type]
    temporal = TemporalHealth(answers=False, reason="it cannot be connected to", connected=False)

    missing = readiness(StorageHealth(True, True, True), temporal, settings).missing

    assert missing == ["TEMPORAL_ADDRESS: no Temporal answers at 127.0.0.1:9302: it cannot be connected to"]
