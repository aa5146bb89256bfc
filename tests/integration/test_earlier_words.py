"""Words that a prompt quotes come in one order, whatever was stored in the same moment."""

from __future__ import annotations

from typing import Any

from storage.earlier_words import EarlierWords
from storage.turns import Turns
from tests.support.attempts import activities, answer, stored
from tests.system_in_process import System

TEXTS = ["one", "two", "three", "four"]


async def test_what_was_stored_at_once_is_quoted_in_its_order(system: System) -> None:
    """The customer's words by their numbers, and the reply after what it answers."""
    requests = [await stored(system, text, number) for number, text in enumerate(TEXTS, 1)]
    async with activities(system) as does:
        await answer(does, requests[0])
    later = await stored(system, "five", 5)
    turn = await Turns(system.database).claim(
        later.conversation_id, later.cursor, later.thread.frontend_context_uuid, 9
    )
    assert turn is not None
    await system.database.rows("UPDATE messages SET stored_at = agent_now()")
    await system.database.rows("UPDATE messages SET seq = seq WHERE seq = 2")  # stands last in the table now

    async def quoted(limit: int) -> list[Any]:
        return [line.text for line in await EarlierWords(system.database).recap(turn, limit)]

    said = [*TEXTS, "You said: " + "\n\n".join(TEXTS)]
    assert [await quoted(9), await quoted(2)] == [said, said[-2:]]
