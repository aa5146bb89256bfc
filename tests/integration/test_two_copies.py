"""A question that was sent twice, for nobody knew whether the first copy had left: the customer may quote either."""

from __future__ import annotations

from datetime import timedelta

import pytest

from integrations.whatsapp.double import Posted
from tests.integration.test_over import (
    ASKS_TO_CANCEL,
    CANCELS,
    FAILED,
    NO_ANSWER,
    NOT_TAKEN,
    asked,
    settled,
    whole_turn,
)
from tests.integration.test_unsaid import Conversation, still
from tests.support.clock import now, stamp
from tests.support.waiting import until
from tests.system_in_process import System

__all__ = ["still"]

NOT_THERE = 131026


async def question(still: System) -> tuple[Conversation, Posted]:
    """The channel gave no answer to its first copy, which has left."""
    talk = await asked(still, CANCELS)
    still.whatsapp.failures.append(NO_ANSWER)
    await talk.delivered()
    [first] = still.whatsapp.sent
    return talk, first


async def yes_to(talk: Conversation, posted: Posted) -> list[str]:
    """The calls that follow a yes which quotes it."""
    quoted = {"id": posted.channel_message_id}
    await talk.customer.write("yes", context=quoted, timestamp=stamp(now() + timedelta(seconds=2)))
    await whole_turn(talk.system, await talk.id, talk.cursor)
    return [name for name, *_ in talk.system.endpoints.calls]


@pytest.mark.parametrize("quoted", [0, 1])
@pytest.mark.parametrize("statuses", [["delivered"], ["sent", "delivered", "read"]])
async def test_a_yes_to_either_counts_once_a_status_has_told_of_the_first(
    still: System, quoted: int, statuses: list[str]
) -> None:
    talk, first = await question(still)
    await settled(talk)
    for each in statuses:
        await talk.customer.status(first, each)

    assert talk.customer.received == [ASKS_TO_CANCEL] * 2
    assert await yes_to(talk, still.whatsapp.sent[quoted]) == ["cancel_order"]


@pytest.mark.parametrize("quoted", [0, 1])
async def test_a_yes_to_either_counts_where_the_status_came_during_the_second_send(still: System, quoted: int) -> None:
    talk, first = await question(still)
    still.whatsapp.before_answering.append(lambda _second: talk.customer.status(first, "delivered"))
    await settled(talk)

    assert await yes_to(talk, still.whatsapp.sent[quoted]) == ["cancel_order"]


async def test_a_yes_to_what_no_status_told_of_is_the_models(still: System) -> None:
    talk, first = await question(still)
    await settled(talk)

    assert await yes_to(talk, first) == []


@pytest.mark.parametrize("quoted", [0, 2])
@pytest.mark.parametrize("not_taken", [False, True])
async def test_a_yes_to_either_counts_after_a_third_send(still: System, quoted: int, *, not_taken: bool) -> None:
    """The channel took the second, which failed after all; *not_taken*: it did not take the third at its first try."""
    talk, first = await question(still)
    still.whatsapp.before_answering.append(lambda _second: talk.customer.status(first, "sent"))
    await until("the second copy", talk.delivered)
    await talk.customer.status(still.whatsapp.sent[1], "failed", FAILED)
    still.whatsapp.failures.extend([NOT_TAKEN] if not_taken else [])
    await until("the third copy", talk.delivered)

    assert talk.customer.received == [ASKS_TO_CANCEL] * 3
    assert await yes_to(talk, still.whatsapp.sent[quoted]) == ["cancel_order"]


async def test_a_yes_to_the_first_counts_after_a_send_by_hand(still: System) -> None:
    """The second was refused for good, and staff have sent the question once more."""
    talk, first = await question(still)
    still.whatsapp.before_answering.append(lambda _second: talk.customer.status(first, "sent"))
    await until("the second copy", talk.delivered)
    await talk.customer.status(still.whatsapp.sent[1], "failed", NOT_THERE)
    await until("the end", talk.delivered)
    [failed] = await still.database.rows("SELECT id FROM deliveries WHERE status = 'failed'")
    resent = await still.http.post(f"/api/deliveries/{failed['id']}/resend", json={"asked_by": "Ann"})
    await until("the third copy", talk.delivered)

    assert (resent.is_success, talk.customer.received) == (True, [ASKS_TO_CANCEL] * 3)
    assert await yes_to(talk, first) == ["cancel_order"]
