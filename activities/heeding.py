"""The customer's answer to an action that was asked back: yes does exactly that, no cancels it, else a message."""

from __future__ import annotations

from datetime import UTC, datetime

from actions.confirmation import settle
from actions.gates import Event
from actions.yes_no import YesNo, understand
from activities.bots import Bot
from activities.outcomes import finished_turn
from schemas.conversations import Step, Thread, TurnOutcome
from schemas.turns import Verdict
from storage.turns import FinishedTurn, OpenQuestion, TakenTurn, TurnChange, Turns


class Heeding:
    """Understands yes and no."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def heed(
        self, taken: TakenTurn, question: OpenQuestion, bot: Bot, thread: Thread
    ) -> FinishedTurn | TurnOutcome | None:
        """What follows from the answer: the turn's end, the action to perform, or None for an ordinary message."""
        said = taken.counting[-1]
        event = settle(question.pending, text=said.text, payload=said.choice_id, seq=said.seq, now=datetime.now(UTC))
        if event is Event.CONFIRMED and question.name not in bot.registry.enabled:
            return self._ended(taken, question, bot, thread, "refused", bot.texts.refused)
        if event is Event.CONFIRMED:
            return await self._confirmed(taken, question, bot, thread)
        if event is Event.DECLINED:
            return self._ended(taken, question, bot, thread, "cancelled", bot.texts.cancelled)
        if event is Event.EXPIRED and understand(said.text) is not YesNo.OTHER:
            return self._ended(taken, question, bot, thread, "expired", bot.texts.expired)
        return None

    async def _confirmed(self, taken: TakenTurn, question: OpenQuestion, bot: Bot, thread: Thread) -> TurnOutcome:
        definition = bot.registry.rules_for(question.pending.request)
        change = TurnChange(
            turn_id=taken.id,
            conversation_id=taken.conversation_id,
            attempt=taken.attempt,
            last_seq=taken.last_taken_seq,
            frontend_context_uuid=thread.frontend_context_uuid,
            handler=definition.handler if definition else None,
            pending_id=question.id,
        )
        await self._turns.confirm_pending(change, decided_by="customer")
        return TurnOutcome(
            cursor=taken.first_seq - 1,
            turn_id=taken.id,
            state=taken.conversation_state,
            verdict=Verdict.ACTION,
            step=Step.PERFORM,
            action_id=question.id,
            thread=thread,
        )

    def _ended(
        self, taken: TakenTurn, question: OpenQuestion, bot: Bot, thread: Thread, status: str, reply: str
    ) -> FinishedTurn:
        changes = {"state": question.return_to, "pending_id": question.id, "pending_status": status}
        return finished_turn(taken, bot, thread, reply=reply).model_copy(update=changes)
