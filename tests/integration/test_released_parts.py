"""A part that surely did not leave is planned again, but not of a reply that is withheld at that moment."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from actions.gates import rules_of
from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from schemas.encoding import dump_json
from schemas.transitions import Event
from tests.integration.test_unsaid import Conversation
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS

PATIENT = {**SETTINGS, "take_over_wait_seconds": 1.0}  # nothing gives way on a busy machine
WITHHOLD = "SELECT withhold_message(id, :note, '') FROM messages WHERE delivery = 'due'"


async def test_withheld_while_it_comes_back_it_is_not_planned_again(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, worker=False, **PATIENT) as system:
        talk = Conversation(system)
        await talk.customer.write("What does it cost?")
        await talk.answer()
        posted, fails = asyncio.Event(), asyncio.Event()

        async def not_reached(_posted: Posted) -> None:
            posted.set()
            await within("the failure", fails.wait(), lambda: "")
            raise SendFailed(SendFailureKind.TRANSIENT, "not reached")

        system.whatsapp.before_answering.append(not_reached)
        sending = asyncio.create_task(talk.deliver())
        await within("the request", posted.wait(), lambda: "")
        async with system.database.transaction() as transaction:
            values = {"id": await talk.id, "rules": dump_json(rules_of(Event.TAKEN))}
            await transaction.rows("SELECT * FROM change_owner(:id, 'taken', :rules, 'Ann', '')", values)
            await transaction.rows(WITHHOLD, {"note": uuid4()})
            fails.set()
            await until("the release that waits", lambda: _waits_for_a_lock(system))
        with pytest.raises(ApplicationError):
            await sending

        [part] = await system.database.rows("SELECT status FROM effects")
        assert part["status"] == "failed"
        assert await talk.held() == 1


async def _waits_for_a_lock(system: System) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await system.database.rows(waiting))
