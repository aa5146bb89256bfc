"""How far a message of ours came only moves forward, whatever order the channel's statuses come in."""

from __future__ import annotations

from integrations.whatsapp.double import Posted
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer

NOT_ON_WHATSAPP = 131026
SHOWN = {
    ("sent", "queued"): "sent",
    ("sent", "delivered"): "delivered",
    ("sent", "read"): "read",
    ("sent", "failed"): "failed",
    ("delivered", "queued"): "delivered",
    ("delivered", "sent"): "delivered",
    ("delivered", "read"): "read",
    ("delivered", "failed"): "delivered",
    ("read", "sent"): "read",
    ("read", "delivered"): "read",
    ("read", "failed"): "read",
    ("read", "deleted"): "deleted",
    ("failed", "sent"): "failed",
    ("failed", "delivered"): "delivered",
    ("failed", "deleted"): "failed",
    ("deleted", "read"): "deleted",
    ("deleted", "failed"): "deleted",
}
"""Two statuses in the order in which they came, and what is shown after both."""


async def test_each_status_after_each_other(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        customers = {pair: Customer(system, f"1555777{n:04}") for n, pair in enumerate(SHOWN)}
        for customer in customers.values():
            await customer.write("Hello")
        for customer in customers.values():
            await customer.until_received(1)
            await customer.until_idle()

        for pair, customer in customers.items():
            for status in pair:
                await customer.status(_posted(customer), status, NOT_ON_WHATSAPP if status == "failed" else None)
                await customer.until_idle()

        assert {pair: await _shown(system, customer) for pair, customer in customers.items()} == SHOWN


async def test_a_repeated_status_changes_nothing(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        customer = Customer(system)
        await customer.write("Hello")
        await customer.until_received(1)
        await customer.until_idle()

        for status in ("delivered", "delivered", "read", "read"):
            await customer.status(_posted(customer), status)
            assert await _shown(system, customer) == status


def _posted(customer: Customer) -> Posted:
    [posted] = [each for each in customer.system.whatsapp.sent if each.request.recipient.phone == customer.phone]
    return posted


async def _shown(system: System, customer: Customer) -> str:
    delivery = _posted(customer).request.delivery_id.partition(".")[0]
    rows = await until(
        f"the delivery to {customer.phone}",
        lambda: system.database.rows("SELECT status FROM deliveries WHERE id = CAST(:id AS uuid)", {"id": delivery}),
        bool,
    )
    return str(rows[0]["status"])
