"""Doing what was accepted: once, by the ledger. It runs at least once itself, so all is looked up first.

`claim` commits that the effect is about to happen; a handler does it under the effect's key; `complete` or `fail`
records what came of it; then the turn ends with words for the customer, or goes back to the model with the result.
Whoever comes second finds what the first one recorded.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from actions import gates
from activities.action_handlers import ActionCall, ActionHandler, HandlerFailed, Handlers, declared, in_own_database
from activities.assistants import AssistantCache, LoadedAssistant
from activities.heartbeat import Beat, beating
from activities.turn_steps.decision import move_after
from activities.turn_steps.telemetry import report_action, report_performed
from config.clock import Clock, utc_now
from config.logs import get_logger
from config.settings import Settings
from schemas.actions import ActionDefinition, ActionRequest
from schemas.channels import needs_delivery
from schemas.conversations import ApprovalDecision, NextStep, Perform, SessionChanged, TurnOutcome
from schemas.effects import Claim, EffectFailure, EffectOutcome, EffectStatus, Recovery
from schemas.transitions import Event
from schemas.turn_decisions import GiveReply, Move, NotBegun, TurnDecision
from schemas.turn_record import TurnStatus
from schemas.turns import Verdict
from storage.actions import AcceptedAction, Actions, Decided, Told
from storage.database import StorageUnavailable, retry_while_unavailable
from storage.ledger import Ledger
from storage.standings import Standings
from storage.turn_commits import TurnCommits
from storage.turns import Turns

T = TypeVar("T")
log = get_logger(__name__)

_GRACE_SECONDS = 1.0
"""What a handler gets beyond its time limit to say itself what became of the call."""


@dataclass(frozen=True)
class _Work:
    """An accepted action with the rules it was accepted under; *call* is None if those do not know it."""

    action: AcceptedAction
    assistant: LoadedAssistant
    call: ActionCall | None

    @property
    def is_inline(self) -> bool:
        """Whether it needs no activity of its own: it is a row of our own database, or nothing at all."""
        return self.call is None or in_own_database(self.call.definition.handler)

    def returns_to_model(self, outcome: EffectOutcome) -> bool:
        """Whether the model says the final words."""
        returns = self.call is not None and self.call.definition.returns_result
        return returns and outcome.status is EffectStatus.CONFIRMED

    @property
    def moves(self) -> Event | None:
        """What it does to the owner, if it does."""
        return None if self.call is None else gates.event_of(self.call.definition)

    def move(self, outcome: EffectOutcome) -> Move | None:
        """The change of the owner that it makes, once it is done."""
        if self.call is None or outcome.status is not EffectStatus.CONFIRMED:
            return None
        move = move_after(self.call.definition, self.action.standing)
        return move and replace(move, effect_key=self.action.effect_key)


class ActionActivities:
    """Performs planned actions."""

    def __init__(
        self,
        turns: Turns,
        commits: TurnCommits,
        actions: Actions,
        ledger: Ledger,
        standings: Standings,
        assistants: AssistantCache,
        handlers: Handlers,
        settings: Settings,
        beat: Beat,
        now: Clock = utc_now,
    ) -> None:
        self._turns = turns
        self._commits = commits
        self._actions = actions
        self._ledger = ledger
        self._standings = standings
        self._assistants = assistants
        self._handlers = handlers
        self._settings = settings
        self._beat = beat
        self._now = now

    @activity.defn
    async def perform(self, request: Perform) -> TurnOutcome:
        """Does the action and ends the turn, or hands its result on for the final words. Safe to repeat.

        Raises ApplicationError while the handler's tries are left; what surely failed or is unknown ends with a text.
        """
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            outcome = await self._carried_on(request.action_id)
        assert outcome is not None
        return outcome

    async def perform_inline(self, outcome: TurnOutcome) -> TurnOutcome:
        """*outcome*, or what comes after it if it asks for an action that is only a row of our own database.

        By the configuration that it was accepted under, which may not be the newest. That saves an activity. Should
        this worker die meanwhile, whoever takes the turn next finds the planned action.
        """
        if outcome.step is not NextStep.PERFORM or outcome.action_id is None:
            return outcome
        return await self._carried_on(outcome.action_id, inline=True) or outcome

    @activity.defn
    async def resolve_approval(self, decision: ApprovalDecision) -> SessionChanged:
        """Staff's answer to a pending action: done, or the customer is told that it is not. Safe to repeat."""
        assert decision.conversation_id is not None
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            decided = await self._actions.decide(decision)
            if decided is not None:
                told = await self._decided(decided, decision)
                await self._actions.tell(decision.conversation_id, decided.action_id, told)
            standing = await self._standings.of(decision.conversation_id)
        is_wanted = decided is not None and needs_delivery(decided.channel, decided.account)
        return SessionChanged(
            state=standing.state, standing=standing, needs_delivery=is_wanted, decided=decided is not None
        )

    async def _carried_on(self, action_id: UUID, *, inline: bool = False) -> TurnOutcome | None:
        """What comes after the action, which is done now where it still is to be. None: it cannot be done *inline*."""
        action = await self._actions.get(action_id)
        if action.turn.status is TurnStatus.ACTING:
            work = await self._work(action)
            if inline and not work.is_inline:
                return None
            await self._carry_out(work)
        # else it is another attempt's by now, or an erasure's, which leaves no words to do anything with
        return (await self._turns.get(action.turn_id)).outcome

    async def _carry_out(self, work: _Work) -> None:
        claimed = await self._claim(work)
        outcome = await self._settled(work, claimed)
        if claimed.withheld:
            await self._commit(work, NotBegun())
        elif work.returns_to_model(outcome):
            await self._retry_while_unavailable(lambda: self._turns.resulted(work.action.fence))
        else:
            await self._end(work, outcome)

    async def _decided(self, decided: Decided, decision: ApprovalDecision) -> Told:
        """What is said of a decided action, once it is done, and the change of the owner that goes with it.

        An action that is such a change belongs to the owner's version of the decision; any other is done in any case.
        """
        newest = await self._assistants.at(decided.assistant, decided.newest_version)
        action = await self._actions.get(decided.action_id)
        others = _of_the_others(action, newest)
        if not decision.approved:
            return Told(Event.DISAPPROVED, others or newest.texts.declined)
        work = await self._work(action)
        if work.moves:
            await self._actions.bind(decided.action_id)
        claimed = await self._claim(work)
        configured = _asked(work.action, newest) is not None and work.action.name in newest.registry.enabled
        if claimed.won and not claimed.unknown_attempts and not configured:  # what was begun is carried on
            outcome = await self._record(work, claimed, _failed("not configured any more"))
            if outcome.status is EffectStatus.FAILED:
                return Told(Event.APPROVED, others or newest.texts.refused)
        else:
            outcome = await self._settled(work, claimed)
        done = outcome.status is EffectStatus.CONFIRMED
        return Told(
            Event.APPROVED,
            _words(work, outcome),
            moves=work.moves if done else None,
            instead=others or work.assistant.texts.action_failed,
            beside=newest.texts.of_effects(done=action.something_done, unknown=action.something_unknown),
            reason=work.action.reason,
        )

    async def _work(self, action: AcceptedAction) -> _Work:
        assistant = await self._assistants.at(action.assistant, action.assistant_version)
        return _Work(action, assistant, _asked(action, assistant))

    async def _settled(self, work: _Work, claimed: Claim) -> EffectOutcome:
        """What came of the action: as recorded, or after doing it now."""
        if not claimed.won:
            return EffectOutcome(status=claimed.status, result=claimed.result or {})
        return await self._record(work, claimed, await self._outcome(work, claimed))

    async def _claim(self, work: _Work) -> Claim:
        """Under the owner's version that it belongs to: else it is withdrawn. What staff decided on has none."""
        claimed = await self._ledger.claim(
            work.action.effect_key,
            lease_seconds=self._settings.action_timeout_seconds,
            give_up_seconds=self._settings.turn_give_up_seconds,
        )
        if claimed.withheld:
            await self._actions.withdraw(work.action.id)
        return claimed

    async def _outcome(self, work: _Work, claimed: Claim) -> EffectOutcome:
        """Raises ApplicationError while the handler's tries are left."""
        if work.call is None:
            return _failed("no such action in the configuration it was accepted under")
        definition = work.call.definition
        try:
            handler = self._handlers.of(definition.handler)
            if claimed.status_before is EffectStatus.SENDING:
                known = await _recovered(handler, work.call, claimed)
                claimed = await self._cleared(claimed) if known is None else claimed
            else:
                known = await self._earlier_outcome(handler, work, claimed)
            if known is not None:
                return known
            self._check_tries(definition, claimed)
            return await _in_time(handler.perform(work.call, claimed), definition)
        except HandlerFailed as failed:
            return await self._after_failure(work.call, claimed, failed)

    def _check_tries(self, definition: ActionDefinition, claimed: Claim) -> None:
        """Raises HandlerFailed where it is not begun once more."""
        only_looked_up = claimed.recovery is Recovery.LOOK_UP and claimed.attempts > 1 + definition.retries
        if only_looked_up or (claimed.attempts > 1 and self._is_late(claimed)):
            raise HandlerFailed("too late to try again", unknown=claimed.unknown_attempts > 0)

    async def _cleared(self, claimed: Claim) -> Claim:
        """After a look-up that found nothing: what came before was not done, so nothing is unknown of it."""
        if claimed.recovery is not Recovery.LOOK_UP:
            return claimed
        if not await self._ledger.clear(claimed):
            raise HandlerFailed("another attempt is at it", unknown=True)
        return claimed.model_copy(update={"unknown_attempts": 0})

    async def _after_failure(self, call: ActionCall, claimed: Claim, failed: HandlerFailed) -> EffectOutcome:
        """Tried again where that cannot do it twice and tries are left; where it can be looked up, once more for that.
        What an earlier attempt may have done, no later failure makes surely undone; what only reads did nothing."""
        definition = call.definition
        again = claimed.recovery is not Recovery.NONE if failed.unknown else failed.retryable
        tries = definition.retries + (failed.unknown and claimed.recovery is Recovery.LOOK_UP)
        if again and not self._is_late(claimed) and claimed.attempts <= tries:
            if not failed.unknown and not claimed.unknown_attempts:
                error = {"explanation": failed.explanation}
                await self._ledger.release(claimed, EffectFailure.NOT_DONE, error, failed.retry_after)
            raise ApplicationError(
                f"{definition.handler} is tried again",
                type="HandlerFailed",
                next_retry_delay=timedelta(seconds=failed.retry_after),
            ) from None
        doubtful = declared(call).changes and (failed.unknown or claimed.unknown_attempts > 0)
        status = EffectStatus.UNKNOWN if doubtful else EffectStatus.FAILED
        return EffectOutcome(status=status, error=failed.explanation)

    def _is_late(self, claimed: Claim) -> bool:
        return claimed.deadline is not None and self._now() >= claimed.deadline

    async def _earlier_outcome(self, handler: ActionHandler, work: _Work, claimed: Claim) -> EffectOutcome | None:
        """The outcome of the same action with the same parameters, if the model only repeats itself.

        Only of an effect that still stands: reads, handoffs and closings are done again. What somebody has agreed to is
        no repetition of the model's: they said yes to a new question, so it is done anew, once, under its own key.
        """
        assert work.call is not None
        if work.action.agreed or not handler.declares(work.call).stands:
            return None
        earlier = await self._ledger.earlier(claimed)
        if earlier is None or not await handler.still_stands(earlier.key):
            return None
        age = (self._now() - earlier.settled_at).total_seconds()
        if age > work.assistant.registry.config.repeat_window_seconds:
            return None
        return EffectOutcome(status=EffectStatus.CONFIRMED, result={**(earlier.result or {}), "repeated": True})

    async def _record(self, work: _Work, claimed: Claim, outcome: EffectOutcome) -> EffectOutcome:
        """Records the outcome; another attempt's, if that has taken the effect and recorded one.

        Raises ApplicationError where it has not yet: nobody knows before it does, whatever this one has come to.
        """
        if outcome.status is EffectStatus.FAILED:
            error = {"explanation": outcome.error}
            won = await self._retry_while_unavailable(lambda: self._ledger.fail(claimed, EffectFailure.FAILED, error))
        else:
            won = await self._retry_while_unavailable(lambda: self._ledger.complete(claimed, outcome))
        if won:
            report_action(work.action, claimed, outcome)
            return outcome
        again = await self._ledger.get(claimed.key)
        if not again.status.is_settled:
            raise ApplicationError("another attempt is at this action", type="Superseded")
        return EffectOutcome(status=again.status, result=again.result or {})

    async def _end(self, work: _Work, outcome: EffectOutcome) -> None:
        """The turn ends with what the customer is told; never with more than the ledger says."""
        reply = GiveReply(
            text=_words(work, outcome),
            move=work.move(outcome),
            verdict=Verdict.ACTION,
            ticket_id=outcome.result.get("ticket_id"),
        )
        await self._commit(work, reply)

    async def _commit(self, work: _Work, decision: TurnDecision) -> None:
        fence, commit_id = work.action.fence, uuid4()
        kept = _of_the_others(work.action, work.assistant)
        committed = await self._retry_while_unavailable(
            lambda: self._commits.commit(fence, decision, commit_id, kept=kept)
        )
        report_performed(work.action, committed)

    async def _retry_while_unavailable(self, write: Callable[[], Awaitable[T]]) -> T:
        return await retry_while_unavailable(write, self._settings.database_retry_seconds)


def _asked(action: AcceptedAction, assistant: LoadedAssistant) -> ActionCall | None:
    """The action as its handler gets it; None if *assistant*'s configuration does not know it, or it is erased."""
    if not action.reason:  # an accepted one gives its reason
        return None
    request = ActionRequest(action=action.name, reason=action.reason, metadata=action.metadata)
    definition = assistant.registry.rules_for(request)
    return None if definition is None else ActionCall(request, definition, assistant.registry)


def _of_the_others(action: AcceptedAction, assistant: LoadedAssistant) -> str | None:
    """What is told of the turn's other effects, where this one ends in silence, or came to nothing."""
    return assistant.texts.of_other_effects(done=action.something_done, unknown=action.something_unknown)


def _failed(why: str) -> EffectOutcome:
    return EffectOutcome(status=EffectStatus.FAILED, error=why)


async def _recovered(handler: ActionHandler, call: ActionCall, claimed: Claim) -> EffectOutcome | None:
    """After an attempt of which nobody knows what came of it: its outcome, or None if it may be done again.

    Raises HandlerFailed.
    """
    if claimed.recovery is Recovery.REPEAT:
        return None
    if claimed.recovery is Recovery.LOOK_UP:
        return await _in_time(handler.look_up(call, claimed), call.definition)
    raise HandlerFailed("an earlier attempt may have been executed", unknown=True)


async def _in_time(doing: Awaitable[T], definition: ActionDefinition) -> T:
    """What the handler does, within the action's time limit. Raises HandlerFailed, also for a handler's own fault:
    that costs this action, not the conversation. A database that is unavailable is waited for above."""
    try:
        async with asyncio.timeout(definition.time_limit_seconds + _GRACE_SECONDS):
            return await doing
    except TimeoutError:
        raise HandlerFailed("took too long", unknown=True) from None
    except (HandlerFailed, ApplicationError, StorageUnavailable):
        raise
    except Exception as error:
        raise _broken(definition, error) from None


def _broken(definition: ActionDefinition, error: Exception) -> HandlerFailed:
    """For an error that no handler should raise: nobody knows how far it came. Its own words may be a customer's."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{at.filename}:{at.lineno}"
    log.error("handler_broke", handler=definition.handler, error=type(error).__name__, where=where)
    return HandlerFailed(f"the handler broke: {type(error).__name__}", unknown=True)


def _words(work: _Work, outcome: EffectOutcome) -> str:
    """What the customer is told where the result does not go back to the model. What its turn did before is not denied,
    and told with it: the model, which knew of that, has asked for the action instead of saying so (and has not spoken
    since)."""
    texts = work.assistant.texts
    if outcome.status is EffectStatus.UNKNOWN:
        return texts.partly_unknown if work.action.something_done else texts.action_unknown
    if outcome.status is EffectStatus.FAILED or work.call is None:
        return texts.partly_done if work.action.something_done else texts.action_failed
    words = {
        "create_ticket": texts.ticket_opened.replace("{ticket}", str(outcome.result.get("ticket_id", ""))),
        "handoff": texts.handed_over,
        "close_conversation": texts.closed,
    }
    told = words.get(work.call.definition.handler, texts.action_done)
    is_untold = work.action.something_done and not work.action.is_spoken_of and told != texts.action_done
    return f"{texts.action_done}\n\n{told}" if is_untold else told
