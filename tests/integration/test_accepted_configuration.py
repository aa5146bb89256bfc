"""An action is done as it was accepted, and where that belongs: a newer configuration changes neither."""

from __future__ import annotations

import pytest

from integrations.endpoints.double import ScriptedEndpoints
from schemas.actions import ActionDefinition
from schemas.conversations import NextStep
from tests.integration.test_take_over import configure, rows, still
from tests.support.attempts import activities, answer, asked, perform, stored
from tests.support.shop import BOOK, output
from tests.system_in_process import System

__all__ = ["still"]

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}
OURS = ActionDefinition(name="do_it", description="Does it", metadata_schema=SCHEMA, handler="create_ticket")
OUTSIDE = OURS.model_copy(update={"handler": "api_call", "settings": {"endpoint": "book"}})


@pytest.mark.parametrize(("accepted", "newer"), [(OURS, OUTSIDE), (OUTSIDE, OURS)])
async def test_a_yes_does_it_with_the_handler_of_then(
    still: System, accepted: ActionDefinition, newer: ActionDefinition
) -> None:
    await configure(still, enabled=["do_it"], custom=[accepted], endpoints=[BOOK])
    still.perplexity.scripts.append(output("do_it"))
    async with activities(still) as does:
        await asked(does, still, await stored(still, "Do it"))
        await configure(still, enabled=["do_it"], custom=[newer], endpoints=[BOOK])
        request = await stored(still, "yes", 2)
        outcome = await answer(does, request)
        in_the_answer = (len(await rows(still, "SELECT 1 FROM tickets")), calls(still.endpoints))
        if outcome.step is NextStep.PERFORM:
            await perform(does, request, outcome)

    assert in_the_answer == (1 if accepted is OURS else 0, 0)
    assert (len(await rows(still, "SELECT 1 FROM tickets")), calls(still.endpoints)) == (
        (1, 0) if accepted is OURS else (0, 1)
    )
    named = await rows(still, "SELECT handler FROM turns WHERE first_seq = 2")
    assert named == [(accepted.handler,)]


async def test_a_yes_to_what_is_switched_off_since_does_nothing(still: System) -> None:
    """Its definition is there still, and it is not among the enabled ones."""
    await configure(still, enabled=["do_it"], custom=[OUTSIDE], endpoints=[BOOK])
    still.perplexity.scripts.append(output("do_it"))
    async with activities(still) as does:
        await answer(does, await stored(still, "Do it"))
        await configure(still, enabled=["create_ticket"], custom=[OUTSIDE], endpoints=[BOOK])
        outcome = await answer(does, await stored(still, "yes", 2))

    assert (outcome.step, calls(still.endpoints)) == (NextStep.FINISHED, 0)


def calls(endpoints: ScriptedEndpoints) -> int:
    return len(endpoints.calls)
