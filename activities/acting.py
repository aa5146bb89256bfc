"""Doing what was accepted: once, by the ledger. It runs at least once itself, so all is looked up first.

`begin` commits that the effect is about to happen; a handler does it under the effect's key; `settle` records what
came of it; then the turn ends with words for the customer, or goes back to the model with the result. Whoever comes
second finds the first one's record.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from actions import gates
from activities.accounting import report_action, report_performed
from activities.asking import Beat, beating
from activities.bots import Bot, Bots
from activities.handlers import OWN_DATABASE, HandlerFailed, Handlers
from activities.outcomes import outcome_of
from config.settings import Settings
from schemas.actions import ActionDefinition, ActionRequest
from schemas.channels import is_sent
from schemas.conversations import Decision, Perform, SessionChanged, Step, TurnOutcome
from schemas.turns import State, Verdict
from storage.actions import BegunAction, Ledger, Settlement
from storage.patience import patiently
from storage.turns import FinishedTurn, Turns

_GRACE_SECONDS = 1.0
"""What a handler gets beyond its time limit to say itself what became of the call."""


class Acting:
    """Performs planned actions."""

    def __init__(
        self, turns: Turns, ledger: Ledger, bots: Bots, handlers: Handlers, settings: Settings, beat: Beat
    ) -> None:
        self._turns = turns
        self._ledger = ledger
        self._bots = bots
        self._handlers = handlers
        self._settings = settings
        self._beat = beat

    @activity.defn
    async def perform(self, request: Perform) -> TurnOutcome:
        """Does the action and ends the turn, or hands its result on for the final words. Safe to repeat.

        Raises ApplicationError while the handler's tries are left; what surely failed or is unknown ends in words.
        """
        begun = await self._ledger.begin(request.action_id)
        bot = await self._bots.at(begun.assistant, begun.assistant_version)
        asked = ActionRequest(action=begun.name, reason=begun.reason, metadata=begun.metadata)
        definition = bot.registry.rules_for(asked)
        if definition is None:
            raise ApplicationError(f"no action {begun.name}", non_retryable=True)
        settlement = await self._settlement(begun, bot, asked, definition)
        if definition.returns_result and settlement.status == "confirmed" and not begun.turn_finished:
            return _conclude(request, begun)
        return await self._end(request, begun, bot, definition, settlement)

    async def at_once(self, conversation_id: UUID, outcome: TurnOutcome, handler: str | None) -> TurnOutcome:
        """*outcome*, or what comes after it if it asks for an action that is only a row of our own database.

        That saves an activity. Should this worker die meanwhile, whoever takes the turn next finds the planned action.
        """
        if outcome.step is not Step.PERFORM or handler not in OWN_DATABASE:
            return outcome
        assert outcome.action_id is not None
        assert outcome.thread is not None
        asked = Perform(
            conversation_id=conversation_id, cursor=outcome.cursor, thread=outcome.thread, action_id=outcome.action_id
        )
        return await self.perform(asked)

    @activity.defn
    async def decide(self, decision: Decision) -> SessionChanged:
        """Staff's answer to a pending action: done, or the customer is told that it is not. Safe to repeat."""
        assert decision.conversation_id is not None
        decided = await self._ledger.decide(decision)
        if decided is None:
            return SessionChanged(state=await self._ledger.state_of(decision.conversation_id))
        bot = await self._bots.at(decided.assistant, decided.assistant_version)
        if decision.approved:
            begun = await self._ledger.begin(decided.action_id)
            asked = ActionRequest(action=begun.name, reason=begun.reason, metadata=begun.metadata)
            definition = bot.registry.rules_for(asked)
            if definition is None:
                raise ApplicationError(f"no action {begun.name}", non_retryable=True)
            settlement = await self._settlement(begun, bot, asked, definition)
            words = _words(bot, definition, settlement)
            done = settlement.status == "confirmed"
            state = gates.state_after(definition, decided.state) if done else decided.state
        else:
            words, state = bot.texts.declined, decided.state
        await self._ledger.tell(decision.conversation_id, decided.action_id, words, state)
        return SessionChanged(state=state, to_deliver=is_sent(decided.channel, decided.account))

    async def _settlement(
        self, begun: BegunAction, bot: Bot, asked: ActionRequest, definition: ActionDefinition
    ) -> Settlement:
        """What came of the action: as recorded, or after doing it now."""
        if begun.settled:
            return Settlement(status=begun.status_before, result=begun.result or {})
        if (earlier := _earlier_outcome(begun, bot)) is not None:
            settlement = Settlement(status="confirmed", result={**earlier, "repeated": True})
        else:
            settlement = await self._do(begun, bot, asked, definition)
        goes_back = definition.returns_result and settlement.status == "confirmed"
        won = await patiently(
            lambda: self._ledger.settle(begun, settlement, goes_back=goes_back), self._settings.record_patience_seconds
        )
        if won:
            report_action(begun, settlement)
            return settlement
        again = await self._ledger.begin(begun.id)
        return Settlement(status=again.status_before, result=again.result or {}) if again.settled else settlement

    async def _do(self, begun: BegunAction, bot: Bot, asked: ActionRequest, definition: ActionDefinition) -> Settlement:
        try:
            return await self._in_time(begun, bot, asked, definition)
        except HandlerFailed as failed:
            if failed.retryable and begun.attempt <= definition.retries:
                if not failed.unknown:
                    await self._ledger.release(begun)
                raise ApplicationError(
                    failed.explanation, type="HandlerFailed", next_retry_delay=timedelta(seconds=failed.retry_after)
                ) from failed
            status = "unknown" if failed.unknown else "failed"
            return Settlement(status=status, result={}, error=failed.explanation)

    async def _in_time(
        self, begun: BegunAction, bot: Bot, asked: ActionRequest, definition: ActionDefinition
    ) -> Settlement:
        """The handler, within the action's time limit. Raises HandlerFailed."""
        try:
            async with (
                beating(self._beat, self._settings.turn_heartbeat_seconds / 3),
                asyncio.timeout(definition.time_limit_seconds + _GRACE_SECONDS),
            ):
                return await self._handlers.handle(begun, bot.registry, asked, definition)
        except TimeoutError:
            ours = definition.handler in OWN_DATABASE  # keyed: may be done again
            raise HandlerFailed("took too long", retryable=ours, unknown=not ours) from None

    async def _end(
        self, request: Perform, begun: BegunAction, bot: Bot, definition: ActionDefinition, settlement: Settlement
    ) -> TurnOutcome:
        """The turn ends with what the customer is told; never with more than the ledger says."""
        if not begun.turn_finished:
            finished = self._finished(request, begun, bot, definition, settlement)
            won = await patiently(lambda: self._turns.finish(finished), self._settings.record_patience_seconds)
            report_performed(begun, finished, won=won)
        stored = await self._turns.look(begun.conversation_id, request.cursor + 1, request.thread.frontend_context_uuid)
        return outcome_of(stored)

    def _finished(
        self, request: Perform, begun: BegunAction, bot: Bot, definition: ActionDefinition, settlement: Settlement
    ) -> FinishedTurn:
        done = settlement.status == "confirmed"
        state = gates.state_after(definition, begun.return_to) if done else begun.return_to
        return FinishedTurn(
            turn_id=begun.turn_id,
            conversation_id=begun.conversation_id,
            attempt=begun.turn_attempt,
            last_seq=begun.last_seq,
            state=State(state),
            verdict=Verdict.ACTION,
            handler=definition.handler,
            assistant_version=bot.assistant.version,
            reply_id=uuid4(),
            reply=_words(bot, definition, settlement),
            frontend_context_uuid=request.thread.frontend_context_uuid,
            backend_uuid=begun.backend_uuid,
            ticket_id=settlement.result.get("ticket_id"),
        )


def _earlier_outcome(begun: BegunAction, bot: Bot) -> dict[str, Any] | None:
    """The outcome of the same action with the same parameters, if the model only repeats itself."""
    if begun.repeated is None or begun.status_before != "planned":
        return None
    age = (datetime.now(UTC) - begun.repeated.settled_at).total_seconds()
    return begun.repeated.result or {} if age <= bot.registry.config.repeat_window_seconds else None


def _conclude(request: Perform, begun: BegunAction) -> TurnOutcome:
    return TurnOutcome(
        cursor=request.cursor,
        turn_id=begun.turn_id,
        state=begun.conversation_state,
        verdict=Verdict.ACTION,
        step=Step.CONCLUDE,
        action_id=begun.id,
        thread=request.thread,
    )


def _words(bot: Bot, definition: ActionDefinition, settlement: Settlement) -> str:
    """What the customer is told of an outcome that does not go back to the model."""
    texts = bot.texts
    if settlement.status == "unknown":
        return texts.action_unknown
    if settlement.status == "failed":
        return texts.action_failed
    words = {
        "create_ticket": texts.ticket_opened.replace("{ticket}", str(settlement.result.get("ticket_id", ""))),
        "handoff": texts.handed_over,
        "close_conversation": texts.closed,
    }
    return words.get(definition.handler, texts.action_done)
