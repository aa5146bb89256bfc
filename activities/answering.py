"""The turn: takes the waiting messages, asks Perplexity, reads the output, stores what follows.

Attempt 2 of a turn may run while attempt 1 still does (temporal.md). So everything is decided by the record: whoever
commits first wins, who finds a turn in another step (or finished) returns that, and how often a question may be put
again is counted there.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from actions.prompt_pack import repair_prompt, result_prompt
from actions.reading import read_output
from activities.accounting import TurnReport
from activities.acting import Acting
from activities.asking import Answered, Asking, Unanswered
from activities.bots import Bot, Bots
from activities.company import Company
from activities.deciding import Decision, Next, decide, on_message
from activities.failing import Failing
from activities.heeding import Heeding
from activities.outcomes import finished_turn, kept_output, outcome_of, output_of
from activities.questions import joined_text
from activities.setting_aside import set_aside, told_too
from activities.yielding import Yielding
from config.settings import Settings
from schemas.conversations import Apologize, GoOn, Step, Thread, TurnOutcome, TurnRequest
from schemas.failures import FAILURES, FailureKind, may_ask
from schemas.turns import Verdict
from storage.actions import Ledger
from storage.patience import patiently
from storage.turns import FinishedTurn, Purpose, TakenTurn, Turns


class Answering:
    """Answers what waits in the inbox, question by question."""

    def __init__(
        self,
        turns: Turns,
        ledger: Ledger,
        bots: Bots,
        asking: Asking,
        acting: Acting,
        company: Company,
        settings: Settings,
    ) -> None:
        self._turns = turns
        self._ledger = ledger
        self._bots = bots
        self._asking = asking
        self._acting = acting
        self._company = company
        self._failing = Failing(turns, settings)
        self._settings = settings
        self._heeding = Heeding(turns)
        self._yielding = Yielding(turns, asking, self._failing, settings)

    @activity.defn
    async def answer(self, request: TurnRequest) -> TurnOutcome:
        """Answers the messages after the cursor, or returns how far another attempt has come with them.

        Raises ApplicationError: retryable with its own delay while tries are left, else non-retryable, its type the
        failure's kind. StorageUnavailable is retried by the workflow's policy.
        """
        outcome = await self._answer(request, may_yield=True)
        return outcome or await self._again(request)

    async def _again(self, request: TurnRequest) -> TurnOutcome:
        """Once more, with what the customer wrote meanwhile."""
        outcome = await self._answer(request, may_yield=False)
        assert outcome is not None
        return outcome

    async def _answer(self, request: TurnRequest, *, may_yield: bool) -> TurnOutcome | None:
        """None: the question was dropped for a newer message."""
        taken = await self._take(request, Purpose.ANSWER)
        if taken is None:
            return TurnOutcome(cursor=request.cursor)
        if taken.status != "asking":
            return outcome_of(taken)
        bot = await self._bots.at(taken.assistant, taken.assistant_version)
        if on_message(taken, bot).hold:  # a human has the conversation: the message is kept, the model is not asked
            held = finished_turn(taken, bot, request.thread, status="held")
            return await self._finish(taken, held)
        if (reply := set_aside(taken, bot)) is not None:
            status = "answered" if reply else "held"
            ended = finished_turn(taken, bot, request.thread, status=status, reply=reply or None)
            return await self._finish(taken, ended)
        if taken.question is not None:
            heeded = await self._heeding.heed(taken, taken.question, bot, request.thread)
            if isinstance(heeded, TurnOutcome):
                return await self._acting.at_once(taken.conversation_id, heeded, self._handler_of(taken, bot))
            if isinstance(heeded, FinishedTurn):
                return await self._finish(taken, heeded)
        return await self._ask(
            taken, bot, request.thread, joined_text(taken.messages), Purpose.ANSWER, 0, may_yield=may_yield
        )

    @activity.defn
    async def go_on(self, request: GoOn) -> TurnOutcome:
        """The turn's next question: a repair of an invalid output, or the final words after an action's result."""
        purpose = Purpose(request.purpose)
        taken = await self._take(request, purpose)
        if taken is None:
            return TurnOutcome(cursor=request.cursor)
        if taken.status != "asking":
            return outcome_of(taken)
        bot = await self._bots.at(taken.assistant, taken.assistant_version)
        if purpose is Purpose.REPAIR:
            await asyncio.sleep(bot.registry.config.repair_pause_seconds)
            invalid = await self._turns.last_invalid(taken.id)
            text = repair_prompt(invalid.errors, invalid.text, bot.registry)
        else:
            last = await self._ledger.last_result(taken.id)
            text = result_prompt(last.name, {"status": last.status, **last.result})
        outcome = await self._ask(taken, bot, request.thread, text, purpose, request.number, may_yield=True)
        anew = TurnRequest(conversation_id=request.conversation_id, cursor=request.cursor, thread=request.thread)
        return outcome or await self._again(anew)

    @activity.defn
    async def apologize(self, request: Apologize) -> TurnOutcome:
        """Ends a turn whose tries are used up with a decent reply; a stored answer wins over the apology."""
        taken = await self._take(request, Purpose.ANSWER)
        if taken is None:
            return TurnOutcome(cursor=request.cursor)
        if taken.finished_at is not None:
            return outcome_of(taken)
        bot = await self._bots.at(taken.assistant, taken.assistant_version)
        text = bot.texts.apology(FAILURES[FailureKind(request.failure)].apology)
        sorry = finished_turn(taken, bot, request.thread, status="apologised", reply=text)
        return await self._finish(taken, sorry.model_copy(update={"failure": request.failure}))

    def _handler_of(self, taken: TakenTurn, bot: Bot) -> str | None:
        definition = bot.registry.get(taken.question.name) if taken.question else None
        return definition.handler if definition else None

    async def _take(self, request: TurnRequest | GoOn | Apologize, purpose: Purpose) -> TakenTurn | None:
        limit = self._settings.join_max_messages if self._settings.join_waiting_messages else 1
        thread = request.thread.frontend_context_uuid
        return await self._turns.take(request.conversation_id, request.cursor, thread, limit, purpose)

    async def _ask(
        self, taken: TakenTurn, bot: Bot, thread: Thread, text: str, purpose: Purpose, number: int, *, may_yield: bool
    ) -> TurnOutcome | None:
        """None: dropped for a newer message."""
        if not may_ask(self._failing.limits, attempt=taken.tries, unsettled=taken.unsettled):
            raise ApplicationError("tries are used up", type=FailureKind.ABANDONED, non_retryable=True)
        try:
            async with self._company.beside(taken, bot):
                answering = self._asking.ask(taken, bot, thread, text)
                if may_yield and self._yielding.applies(taken, purpose):
                    answered = await self._yielding.unless_newer(taken, purpose, answering)
                else:
                    answered = await answering
        except Unanswered as unanswered:
            raise await self._failing.settled(taken, unanswered, purpose) from unanswered.error
        except asyncio.CancelledError:
            await self._failing.abandoned(taken, self._asking.slot_of(taken), purpose)
            raise
        if answered is None:
            return None
        return await self._judge(taken, bot, thread, answered, purpose, number)

    async def _judge(
        self, taken: TakenTurn, bot: Bot, thread: Thread, answered: Answered, purpose: Purpose, number: int
    ) -> TurnOutcome:
        """Reads the output and stores what follows from it."""
        parsed = read_output(answered.answer.text, bot.registry, limits=bot.limits)
        decision = decide(parsed, taken, bot, purpose, number)
        output = output_of(answered, parsed, purpose)
        if decision.next is Next.FINISH:
            reply = told_too(decision.reply, taken, bot)
            finished = finished_turn(taken, bot, thread, reply=reply, answered=answered, output=output)
            return await self._finish(taken, finished.model_copy(update=decision.changes))
        kept = kept_output(taken, thread, answered, output, decision)
        won = await patiently(lambda: self._turns.keep(kept), self._settings.record_patience_seconds)
        TurnReport(taken, self._settings).kept(kept, won=won)
        if not won:
            return await self._stored(taken, thread)
        outcome = _next(taken, kept.status, answered, decision)
        return await self._acting.at_once(taken.conversation_id, outcome, decision.handler)

    async def _finish(self, taken: TakenTurn, finished: FinishedTurn) -> TurnOutcome:
        """Commits, waiting out a database that is away for a while: the answer in hand was dearly bought."""
        won = await patiently(lambda: self._turns.finish(finished), self._settings.record_patience_seconds)
        TurnReport(taken, self._settings).finished(finished, won=won)
        if not won:
            return await self._stored(taken, Thread(frontend_context_uuid=finished.frontend_context_uuid))
        return outcome_of_finished(finished, is_sent=taken.is_sent)

    async def _stored(self, taken: TakenTurn, thread: Thread) -> TurnOutcome:
        """What another attempt stored first."""
        stored = await self._turns.look(taken.conversation_id, taken.first_seq, thread.frontend_context_uuid)
        return outcome_of(stored)


def outcome_of_finished(finished: FinishedTurn, *, is_sent: bool) -> TurnOutcome:
    """What the turn came to, as just committed."""
    thread = None
    if finished.backend_uuid is not None:
        thread = Thread(
            frontend_context_uuid=finished.frontend_context_uuid,
            backend_uuid=finished.backend_uuid,
            thread_url_slug=finished.thread_url_slug,
        )
    return TurnOutcome(
        cursor=finished.last_seq,
        turn_id=finished.turn_id,
        state=finished.state,
        verdict=finished.verdict,
        thread=thread,
        ticket_id=finished.ticket_id,
        to_deliver=finished.reply is not None and is_sent,
    )


def _next(taken: TakenTurn, status: str, answered: Answered, decision: Decision) -> TurnOutcome:
    return TurnOutcome(
        cursor=taken.first_seq - 1,
        turn_id=taken.id,
        state=taken.conversation_state,
        verdict=Verdict.INVALID if status == "invalid" else Verdict.ACTION,
        step=Step.REPAIR if status == "invalid" else Step.PERFORM,
        action_id=decision.action.action_id,
        thread=Thread(
            frontend_context_uuid=UUID(answered.answer.frontend_context_uuid),
            backend_uuid=answered.answer.backend_uuid,
            thread_url_slug=answered.answer.thread_url_slug,
        ),
    )
