"""Doing what was accepted: once, by the ledger. It runs at least once itself, so all is looked up first.

`begin` commits that the effect is about to happen; a handler does it under the effect's key; `settle` records what
came of it; then the turn ends with words for the customer, or goes back to the model with the result. Whoever comes
second finds the first one's record.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
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
from config.clock import Clock, utc_now
from config.settings import Settings
from schemas.actions import ActionDefinition, ActionRequest
from schemas.channels import is_sent
from schemas.conversations import Decision, Perform, SessionChanged, Step, Thread, TurnOutcome
from schemas.turn_decisions import Reply
from schemas.turn_record import TurnStatus
from schemas.turns import State, Verdict
from storage.actions import BegunAction, Decided, Ledger, Settlement
from storage.patience import patiently
from storage.turns import TurnFence, Turns

_GRACE_SECONDS = 1.0
"""What a handler gets beyond its time limit to say itself what became of the call."""

_STANDING = {"create_ticket", "api_call"}
"""Handlers whose effect outlasts the conversation's state: asked for again, it is there already."""


class Acting:
    """Performs planned actions."""

    def __init__(
        self,
        turns: Turns,
        ledger: Ledger,
        bots: Bots,
        handlers: Handlers,
        settings: Settings,
        beat: Beat,
        now: Clock = utc_now,
    ) -> None:
        self._turns = turns
        self._ledger = ledger
        self._bots = bots
        self._handlers = handlers
        self._settings = settings
        self._beat = beat
        self._now = now

    @activity.defn
    async def perform(self, request: Perform) -> TurnOutcome:
        """Does the action and ends the turn, or hands its result on for the final words. Safe to repeat.

        Raises ApplicationError while the handler's tries are left; what surely failed or is unknown ends in words.
        """
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            return await self._perform(request)

    async def at_once(self, conversation_id: UUID, outcome: TurnOutcome, handler: str | None) -> TurnOutcome:
        """*outcome*, or what comes after it if it asks for an action that is only a row of our own database.

        That saves an activity. Should this worker die meanwhile, whoever takes the turn next finds the planned action.
        """
        if outcome.step is not Step.PERFORM or handler not in OWN_DATABASE or outcome.action_id is None:
            return outcome
        thread = outcome.thread or Thread(frontend_context_uuid=uuid4())
        return await self._perform(
            Perform(conversation_id=conversation_id, cursor=outcome.cursor, thread=thread, action_id=outcome.action_id)
        )

    @activity.defn
    async def decide(self, decision: Decision) -> SessionChanged:
        """Staff's answer to a pending action: done, or the customer is told that it is not. Safe to repeat."""
        assert decision.conversation_id is not None
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            decided = await self._ledger.decide(decision)
            if decided is None:
                return SessionChanged(state=await self._ledger.state_of(decision.conversation_id))
            words, state = await self._decided(decided, approved=decision.approved)
            await self._ledger.tell(decision.conversation_id, decided.action_id, words, state)
        return SessionChanged(state=state, to_deliver=is_sent(decided.channel, decided.account))

    async def _perform(self, request: Perform) -> TurnOutcome:
        begun = await self._ledger.begin(request.action_id)
        if begun.turn_status is not TurnStatus.ACTING:  # another attempt's, or an erasure's, which leaves no words
            return outcome_of(await self._turns.get(begun.turn_id))
        bot = await self._bots.at(begun.assistant, begun.assistant_version)
        asked = ActionRequest(action=begun.name, reason=begun.reason, metadata=begun.metadata)
        definition = bot.registry.rules_for(asked)
        settlement = await self._settlement(begun, bot, asked, definition)
        returns = definition is not None and definition.returns_result and settlement.status == "confirmed"
        if not returns:
            await self._end(begun, bot, definition, settlement)
        return outcome_of(await self._turns.get(begun.turn_id))

    async def _decided(self, decided: Decided, *, approved: bool) -> tuple[str, State]:
        """What the customer is told of a decided action, and the state after it."""
        newest = await self._bots.at(decided.assistant, decided.newest_version)
        if not approved:
            return newest.texts.declined, decided.state
        begun = await self._ledger.begin(decided.action_id)
        asked = ActionRequest(action=begun.name, reason=begun.reason, metadata=begun.metadata)
        if newest.registry.rules_for(asked) is None or begun.name not in newest.registry.enabled:
            await self._settle(begun, Settlement(status="failed", error="not configured any more"), returns=False)
            return newest.texts.refused, decided.state
        bot = await self._bots.at(begun.assistant, begun.assistant_version)
        definition = bot.registry.rules_for(asked)
        settlement = await self._settlement(begun, bot, asked, definition)
        done = settlement.status == "confirmed" and definition is not None
        state = gates.state_after(definition, decided.state) if done and definition else decided.state
        return _words(bot, definition, settlement, begun), state

    async def _settlement(
        self, begun: BegunAction, bot: Bot, asked: ActionRequest, definition: ActionDefinition | None
    ) -> Settlement:
        """What came of the action: as recorded, or after doing it now."""
        if begun.settled:
            return Settlement(status=begun.status_before, result=begun.result or {})
        if definition is None:
            settlement = Settlement(status="failed", error="no such action in the configuration it was accepted under")
        elif (earlier := _earlier_outcome(begun, bot, definition, self._now())) is not None:
            settlement = Settlement(status="confirmed", result={**earlier, "repeated": True})
        else:
            settlement = await self._do(begun, bot, asked, definition)
        returns = definition is not None and definition.returns_result and settlement.status == "confirmed"
        return await self._settle(begun, settlement, returns=returns)

    async def _settle(self, begun: BegunAction, settlement: Settlement, *, returns: bool) -> Settlement:
        """Records the outcome; another attempt's, if that was recorded first."""
        won = await patiently(
            lambda: self._ledger.settle(begun, settlement, goes_back=returns), self._settings.record_patience_seconds
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
                    f"{definition.handler} is tried again",
                    type="HandlerFailed",
                    next_retry_delay=timedelta(seconds=failed.retry_after),
                ) from None
            status = "unknown" if failed.unknown else "failed"
            return Settlement(status=status, result={}, error=failed.explanation)

    async def _in_time(
        self, begun: BegunAction, bot: Bot, asked: ActionRequest, definition: ActionDefinition
    ) -> Settlement:
        """The handler, within the action's time limit. Raises HandlerFailed."""
        try:
            async with asyncio.timeout(definition.time_limit_seconds + _GRACE_SECONDS):
                return await self._handlers.handle(begun, bot.registry, asked, definition)
        except TimeoutError:
            ours = definition.handler in OWN_DATABASE  # keyed: may be done again
            raise HandlerFailed("took too long", retryable=ours, unknown=not ours) from None

    async def _end(
        self, begun: BegunAction, bot: Bot, definition: ActionDefinition | None, settlement: Settlement
    ) -> None:
        """The turn ends with what the customer is told; never with more than the ledger says."""
        done = settlement.status == "confirmed" and definition is not None
        reply = Reply(
            text=_words(bot, definition, settlement, begun),
            state=State(gates.state_after(definition, begun.return_to)) if done and definition else begun.return_to,
            verdict=Verdict.ACTION,
            ticket_id=settlement.result.get("ticket_id"),
        )
        fence, commit_id = _fence(begun), uuid4()
        committed = await patiently(
            lambda: self._turns.commit(fence, reply, commit_id), self._settings.record_patience_seconds
        )
        report_performed(begun, committed)


def _fence(begun: BegunAction) -> TurnFence:
    return TurnFence(
        turn_id=begun.turn_id,
        conversation_id=begun.conversation_id,
        step=begun.turn_step,
        attempt=begun.turn_attempt,
        last_seq=begun.last_seq,
        frontend_context_uuid=begun.frontend_context_uuid,
        from_statuses=(TurnStatus.ACTING,),
    )


def _earlier_outcome(
    begun: BegunAction, bot: Bot, definition: ActionDefinition, now: datetime
) -> dict[str, Any] | None:
    """The outcome of the same action with the same parameters, if the model only repeats itself.

    Only of a side effect that still stands: reads, handoffs and closings are done again.
    """
    if begun.repeated is None or begun.status_before != "planned" or definition.handler not in _STANDING:
        return None
    age = (now - begun.repeated.settled_at).total_seconds()
    return begun.repeated.result or {} if age <= bot.registry.config.repeat_window_seconds else None


def _words(bot: Bot, definition: ActionDefinition | None, settlement: Settlement, begun: BegunAction) -> str:
    """What the customer is told where the result does not go back to the model; what was done before is not denied."""
    texts = bot.texts
    if settlement.status == "unknown":
        return texts.action_unknown
    if settlement.status == "failed" or definition is None:
        return texts.partly_done if begun.something_done else texts.action_failed
    words = {
        "create_ticket": texts.ticket_opened.replace("{ticket}", str(settlement.result.get("ticket_id", ""))),
        "handoff": texts.handed_over,
        "close_conversation": texts.closed,
    }
    return words.get(definition.handler, texts.action_done)
