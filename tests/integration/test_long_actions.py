"""An action may take as long as its definition says, however short everything else's limits are."""

from __future__ import annotations

import asyncio

from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from tests.support.shop import BOOK, output
from tests.support.waiting import until
from tests.system_in_process import running_system

LIMIT_SECONDS = 8.0
ACTION_SECONDS = 10.0
LIMITS = dict.fromkeys(
    ("turn_timeout_seconds", "turn_give_up_seconds", "database_activity_seconds", "delivery_timeout_seconds"),
    LIMIT_SECONDS,
)


async def test_an_action_takes_longer_than_every_other_activity_may_and_is_done_once(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, **LIMITS) as system:
        slow = BOOK.model_copy(update={"time_limit_seconds": 60.0})
        config = AssistantConfig(actions=AssistantActions(endpoints=(slow,)))
        await system.services.configurations.apply("default", config, "test")
        system.perplexity.scripts.extend([output("api_call", endpoint="book", params={}), "It is booked."])
        system.endpoints.gate.clear()
        sending = asyncio.create_task(system.send("Book it"))
        await until("the call", lambda: system.endpoints.calls)

        await asyncio.sleep(ACTION_SECONDS)  # it is this long that is tested
        system.endpoints.gate.set()

        turn = (await sending).json()
        (effect,) = await system.database.rows("SELECT status, attempts, settled_at - claimed_at AS took FROM effects")
    assert turn["reply"]["text"] == "It is booked."
    assert (len(system.endpoints.calls), effect["status"], effect["attempts"]) == (1, "confirmed", 1)
    assert effect["took"].total_seconds() > LIMIT_SECONDS
