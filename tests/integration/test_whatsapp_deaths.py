"""A sender that dies at every boundary of a reply in several parts: each part goes out once, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from activities.assistants import AssistantCache
from activities.delivery import DeliveryActivities
from integrations.channels.port import Sent
from integrations.whatsapp.channel import only
from integrations.whatsapp.double import RecordingWhatsApp
from integrations.whatsapp.port import SendRequest
from schemas.channels import WHATSAPP
from schemas.conversations import Deliver
from schemas.deliveries import Part, StatusReport, read_delivery_id
from storage.configurations import Configurations
from storage.delivery_reports import DeliveryReports
from storage.outbox import ClaimedPart, Outbox
from tests.support.clock import now
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

PARTS = 3
TEXT = "\n\n".join("Many words of it. " * 50 for _ in range(12))


class Died(BaseException):
    """What `kill -9` is to the code: nothing after it happens."""


class MortalWhatsApp(RecordingWhatsApp):
    """Dies after the channel has taken a part and before anybody hears of it, when its number is *fatal*."""

    fatal: int | None = None

    async def send_text(self, request: SendRequest, text: str) -> Sent:
        sent = await super().send_text(request, text)
        if len(self.sent) - 1 == self.fatal:
            self.fatal = None
            raise Died
        return sent


class MortalOutbox(Outbox):
    """Dies beside the statement *where* of part *fatal*."""

    where: str = ""
    fatal: int | None = None

    def _die(self, where: str, part: Part) -> None:
        if (where, part.part) == (self.where, self.fatal):
            self.fatal = None
            raise Died

    async def claim(self, part: Part, lease_seconds: float) -> ClaimedPart:
        self._die("before it is begun", part)
        begun = await super().claim(part, lease_seconds)
        self._die("before it is sent", part)
        return begun

    async def sent(self, part: Part, channel_message_id: str) -> None:
        await super().sent(part, channel_message_id)
        self._die("after it is recorded", part)


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {**SETTINGS, "delivery_settle_seconds": 0.001}
    async with running_system(postgres_url, temporal_address, worker=False, **settings) as system:
        yield system


async def _a_due_reply(system: System) -> UUID:
    customer = Customer(system)
    await customer.write("Hello")
    conversation_id = UUID((await customer.session())["conversation_id"])
    await Outbox(system.database).add(conversation_id, TEXT, message_id=conversation_id, author="assistant")
    return conversation_id


async def _statuses(system: System, channel: RecordingWhatsApp) -> None:
    """The channel reports what it took, as it does within seconds."""
    reports = []
    for posted in channel.sent:
        delivery_id, fence = read_delivery_id(posted.request.delivery_id)
        report = StatusReport(
            channel_message_id=posted.channel_message_id, status="sent", delivery_id=delivery_id, fence=fence
        )
        reports.append(report)
    await DeliveryReports(system.database).record("whatsapp", reports)


BOUNDARIES = ["before it is begun", "before it is sent", "before it is recorded", "after it is recorded"]


@pytest.mark.parametrize("fatal", range(PARTS))
@pytest.mark.parametrize("where", BOUNDARIES)
async def test_each_part_goes_out_once(system: System, where: str, fatal: int) -> None:
    conversation_id = await _a_due_reply(system)
    channel, outbox = MortalWhatsApp(), MortalOutbox(system.database)
    if where == "before it is recorded":
        channel.fatal = fatal
    else:
        outbox.where, outbox.fatal = where, fatal
    assistants = AssistantCache(Configurations(system.database), system.settings)
    delivering = DeliveryActivities(outbox, {WHATSAPP: only(channel)}, assistants, system.settings, lambda: None, now)

    with pytest.raises(Died):
        await delivering.deliver(Deliver(conversation_id=conversation_id))
    await _statuses(system, channel)
    await delivering.deliver(Deliver(conversation_id=conversation_id))

    assert [posted.text.split("\n")[0] for posted in channel.sent] == ["(1/3)", "(2/3)", "(3/3)"]
    assert await outbox.due(conversation_id) == []
