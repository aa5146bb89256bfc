"""Parts of replies as people see them, and one sent again by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {**SETTINGS, "delivery_settle_seconds": 0.2}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        yield system


@pytest.fixture
def customer(system: System) -> Customer:
    return Customer(system)


async def listed(system: System, **query: Any) -> list[dict[str, Any]]:
    return list((await system.http.get("/api/deliveries", params=query)).json()["deliveries"])


async def resend(system: System, delivery_id: str) -> Any:
    return await system.http.post(f"/api/deliveries/{delivery_id}/resend")


async def test_each_part_is_listed_with_what_became_of_it(system: System, customer: Customer) -> None:
    for _ in range(2):
        await customer.write("Hello")
        await customer.until_idle()
    await customer.status(system.whatsapp.sent[0], "read")

    first = (await system.http.get("/api/deliveries?limit=1")).json()
    rest = (await system.http.get("/api/deliveries", params={"before": first["next_before"]})).json()

    assert [each["status"] for each in (*first["deliveries"], *rest["deliveries"])] == ["sent", "read"]
    assert [each["text"] for each in await listed(system, status="read")] == ["You said: Hello"]
    assert (await system.http.get("/api/deliveries?before=nonsense")).status_code == 422
    assert (await system.http.get("/api/effects")).json()["effects"] == []


@pytest.mark.parametrize("status", ["failed", "unknown"])
async def test_what_was_given_up_is_sent_again_once(system: System, customer: Customer, status: str) -> None:
    kind = SendFailureKind.UNKNOWN if status == "unknown" else SendFailureKind.RECIPIENT_FINAL
    system.whatsapp.failures.extend([SendFailed(kind, "as told")] * (2 if status == "unknown" else 1))
    await customer.write("Hello")
    await customer.until_idle()
    [given_up] = await listed(system, status=status)
    before = len(customer.received)

    answer = await resend(system, given_up["id"])
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["settled_at"]) == ("due", None)
    [sent] = await until("the part sent", lambda: listed(system, status="sent"))
    again = await resend(system, given_up["id"])

    assert (answer.status_code, sent["id"]) == (200, given_up["id"])
    assert len(customer.received) == before + 1
    assert again.status_code == 409
    [noted] = await system.database.rows("SELECT actor FROM audit WHERE deed = 'delivery.resent'")
    assert noted["actor"] == "api key test"


async def test_what_was_withheld_is_not_sent_again(system: System, customer: Customer) -> None:
    async def taken(_posted: Posted) -> None:
        address = f"/api/session/{customer.phone}/state?channel=whatsapp"
        (await system.http.post(address, json={"state": "human_handoff"})).raise_for_status()

    system.perplexity.scripts.append("Many words of it. " * 300)
    system.whatsapp.before_answering.append(taken)
    await customer.write("Tell me everything")

    withheld = await until("the rest to be withheld", lambda: listed(system, status="withheld"))
    answer = await resend(system, withheld[0]["id"])

    assert (answer.status_code, withheld[0]["failure"]) == (409, "withheld")
    assert len(customer.received) == 1


async def test_what_is_not_there_is_not_sent_again(system: System) -> None:
    assert (await resend(system, str(uuid4()))).status_code == 404
