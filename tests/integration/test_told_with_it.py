"""A turn's earlier effects, of which no words said anything, are told with what came of its last action."""

from __future__ import annotations

import pytest

from integrations.endpoints.port import CallFailureKind, EndpointFailed
from schemas.actions import Confirmation
from schemas.transitions import Event
from tests.integration.test_over import BOOKS, CANCELS, DONE, INVOICES, PARTLY, asked, settled, yes
from tests.integration.test_promises import ASKED, OPENED
from tests.integration.test_unsaid import TICKET, approve, still
from tests.system_in_process import System

__all__ = ["still"]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("taken", [False, True])
async def test_what_was_done_before_an_approval_is_told_with_it(still: System, *, left: bool, taken: bool) -> None:
    """Once: no words said so, whether or not those that a colleague has to agree have left."""
    talk = await asked(still, BOOKS, TICKET, by=Confirmation.STAFF)
    if left:
        await settled(talk)
    if taken:
        await talk.change(Event.TAKEN)
    await approve(talk)
    await settled(talk)
    if taken:
        await talk.change(Event.RELEASED)
        await settled(talk)

    assert talk.customer.received == ([ASKED] if left else []) + [f"{DONE}\n\n{OPENED}"]
    assert (await talk.held(), (await talk.customer.session())["waiting_messages"]) == (0, 0)


async def test_what_was_done_before_an_action_without_words_of_the_model_is_told_with_it(still: System) -> None:
    talk = await asked(still, BOOKS, TICKET)
    await settled(talk)

    assert talk.customer.received == [f"{DONE}\n\n{OPENED}"]


async def test_what_is_done_in_the_same_words_is_told_once(still: System) -> None:
    talk = await asked(still, BOOKS, INVOICES)
    await approve(talk)
    await settled(talk)

    assert talk.customer.received == [DONE]


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_done_before_a_question_is_told_with_what_came_of_the_yes(still: System, *, fails: bool) -> None:
    """The question said nothing of it; a failure after the yes changed nothing, but for that."""
    talk = await asked(still, BOOKS, CANCELS if fails else TICKET, by=Confirmation.CUSTOMER)
    await settled(talk)
    if fails:
        still.endpoints.outcomes.append(EndpointFailed(CallFailureKind.FAILED, "no"))
    await yes(talk)
    await settled(talk)

    assert talk.customer.received[1:] == [PARTLY if fails else f"{DONE}\n\n{OPENED}"]
