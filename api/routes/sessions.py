"""`/api/session/…`: where a customer's conversation stands, its threads and turns, and beginning anew."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BeforeValidator

from api.authentication import Admission, Caller, name_of
from api.pages import GOES_ON, Before, Limit, name_next, page_of
from api.paths import name_in_path
from api.problems import ProblemError, problem_docs
from api.routes.messages import IdempotencyKey
from api.services import Services, Serving
from integrations.temporal.conversations import TemporalUnavailable
from schemas.access import Right
from schemas.conversation_ref import ConversationRef
from schemas.conversations import ApprovalDecision
from schemas.cursors import Cursor
from schemas.questions import CameTo
from schemas.requests import (
    ApprovalBody,
    ChannelName,
    CustomerId,
    QuestionBody,
    ReplyBody,
    ReplyTaken,
    ResetBody,
    StateBody,
)
from schemas.sessions import ChangedSession, Session, ThreadHistory
from schemas.standing import Owner
from schemas.transitions import Event, Transition
from schemas.turns import State, Turn
from storage.standings import Changed

router = APIRouter(prefix="/api/session", tags=["sessions"], responses=problem_docs(401, 403, 404, 409, 422, 503))

_NOBODY = "This customer has no conversation on this channel."

Customer = Annotated[
    CustomerId,
    BeforeValidator(name_in_path),
    Path(description="Your own name for the customer, percent-encoded: `/` in it is `%2F`, `%` is `%25`"),
]
OnChannel = Annotated[ChannelName, Query(description="The channel the customer writes on")]


async def found(customer_id: Customer, services: Serving, channel: OnChannel = "http") -> Session:
    """The session. Raises 404."""
    return await _find(services, channel, customer_id)


async def _find(services: Services, channel: str, customer_id: str) -> Session:
    session = await services.sessions.find(channel, customer_id)
    if session is None:
        raise ProblemError(404, _NOBODY)
    return session


_OWNED = {Owner.HUMAN: "a person has the conversation", Owner.CLOSED: "the conversation is closed"}
_AGREED = "somebody decided it already: it was agreed to; GET the session's turns for what came of it"
_DECLINED = "somebody decided it already: it was declined"
_ENDED = {
    CameTo.OPEN: "it stands otherwise by now; GET the session",
    CameTo.UNDER_WAY: _AGREED,
    CameTo.DONE: _AGREED,
    CameTo.FAILED: _AGREED,
    CameTo.UNKNOWN: _AGREED,
    CameTo.DECLINED: _DECLINED,
    CameTo.DECLINED_BY_STAFF: _DECLINED,
    CameTo.EXPIRED: "it has expired",
    CameTo.REFUSED: "the assistant has that action no more",
    CameTo.DROPPED: "another question, other words or another owner took its place",
}
_EVENTS = {State.HUMAN_HANDOFF: Event.TAKEN, State.BOT: Event.RELEASED, State.CLOSED: Event.CLOSED}


async def to_decide(session: Annotated[Session, Depends(found)], services: Serving) -> Session:
    """The session in which something is to be decided. Raises 404, and 503 while nobody would take the decision: it
    would wait, and be made long after its caller has left."""
    await services.readiness.check_deciding()
    return session


Found = Annotated[Session, Depends(found)]
Deciding = Annotated[Session, Depends(to_decide)]


@router.get("/{customer_id}", summary="Where the conversation stands")
async def session(session: Found, services: Serving) -> Session:
    """From the database; `run_id` is null while Temporal is unavailable or the conversation rests."""
    return await _with_run_id(session, services)


@router.get("/{customer_id}/thread", summary="The Perplexity thread, and every one before it")
async def thread(session: Found, services: Serving) -> ThreadHistory:
    """Thread ids are kept for ever, also those of ended and reset conversations."""
    return await services.sessions.threads(session.conversation_id)


@router.get("/{customer_id}/turns", summary="Turns with the model's raw output, newest first", responses=GOES_ON)
async def turns(
    session: Found,
    services: Serving,
    response: Response,
    admitted: Admission,
    limit: Limit = 20,
    before: Before = None,
) -> list[Turn]:
    """The header `Next-Before` is the `before` of the page after this one; the last has none."""
    page, after = await page_of(
        "turns",
        before,
        limit,
        lambda rows, cursor: services.turns.newest(session.conversation_id, rows, cursor),
        lambda row: Cursor(at=row.finished_at, id=row.turn_id),
    )
    name_next(response, after)
    return [turn.veiled() for turn in page] if admitted.right is Right.VEILED else page


@router.get(
    "/{customer_id}/transitions",
    summary="Who had the conversation, and what was opened and closed in it",
    responses=GOES_ON,
)
async def transitions(
    session: Found, services: Serving, response: Response, limit: Limit = 50, before: Before = None
) -> list[Transition]:
    """Newest first: from which owner to which, why, who did it, when, in which turn. The header `Next-Before` as for
    turns."""
    page, after = await page_of(
        "transitions",
        before,
        limit,
        lambda rows, cursor: services.standings.transitions(session.conversation_id, rows, cursor),
        lambda row: Cursor(at=row.at, id=UUID(int=row.id)),
    )
    name_next(response, after)
    return page


@router.post("/{customer_id}/reset", summary="Start over")
async def reset(session: Found, body: ResetBody, services: Serving, caller: Caller) -> Session:
    """Gives the conversation back to the bot, at once; a turn under way begins again. Old thread ids stay in
    `history`."""
    changed = await services.standings.reset(session.conversation_id, new_thread=body.new_thread, who=caller.who)
    session = await _going_on(session, changed.conversation_id, services)
    _tell(session, changed, services)
    return await _again(session, services)


@router.post("/{customer_id}/state", summary="Change who has the conversation")
async def set_state(
    session: Found, body: StateBody, services: Serving, caller: Caller, admitted: Admission
) -> ChangedSession:
    """Takes effect at once, whatever goes on. `human_handoff`: nothing of the bot begins to leave once this has
    returned; `in_flight` names requests that were under way. `bot`: it answers again, also what the customer wrote
    meanwhile and nobody answered; an open handoff is released, open tickets stay open."""
    who, event = caller.who, _EVENTS[State(body.state)]
    if admitted.right is Right.TAKE:
        if event is not Event.TAKEN:
            raise ProblemError(403, "This conversation is another team's: of all states you may only take it.")
        await services.teams.note_taken(session.conversation_id, who=who)
    changed = await services.standings.change(session.conversation_id, event, who=who, reason=body.reason or "by hand")
    session = await _going_on(session, changed.conversation_id, services)
    _tell(session, changed, services)
    looking = asyncio.create_task(_run_id(session, services))
    in_flight = await services.outbox.under_way_after(session.conversation_id, services.settings.take_over_wait_seconds)
    found = await _looked_up(session, services)
    return ChangedSession(**found.model_dump(exclude={"run_id"}), run_id=await looking, in_flight=in_flight)


@router.post(
    "/{customer_id}/messages",
    summary="A human's reply to the customer",
    status_code=202,
    responses=problem_docs(409),
)
async def reply(
    session: Found, body: ReplyBody, services: Serving, caller: Caller, idempotency_key: IdempotencyKey = None
) -> ReplyTaken:
    """Stored at once and sent over the customer's channel, in order with the bot's replies. Over HTTP channels it is
    in the database for whoever shows the conversation. The bot goes on as the state says: set `human_handoff` to keep
    it quiet. With an `Idempotency-Key` the same reply is taken once."""
    if len(body.text) > services.settings.message_max_characters:
        raise ProblemError(422, f"text may have at most {services.settings.message_max_characters} characters.")
    known = await services.outbox.add_reply(
        session.conversation_id, body.text, author_name=name_of(caller, body.agent_name), key=idempotency_key
    )
    if known is None:
        raise ProblemError(404, _NOBODY)
    if known.text != body.text:
        raise ProblemError(409, "This Idempotency-Key came before with another text.")
    if known.needs_delivery:
        session = await _going_on(session, known.conversation_id, services)
        services.signals.delivery_due([_ref_of(session)])
    return ReplyTaken(message_id=known.message_id, conversation_id=known.conversation_id)


@router.post("/{customer_id}/approval", summary="Approve or decline the action that waits for staff")
async def approve(session: Deciding, body: ApprovalBody, services: Serving, caller: Caller) -> Session:
    """Bound to exactly that action by its digest: a late, a second or another one's answer does nothing."""
    await _decide(session, services, body.digest, body.approved, name_of(caller, body.agent_name))
    return await _again(session, services)


@router.post(
    "/{customer_id}/questions/{question_id}", summary="Decide an open question", responses=problem_docs(404, 409)
)
async def decide_question(
    session: Deciding, question_id: UUID, body: QuestionBody, services: Serving, caller: Caller
) -> Session:
    """An approval, or a question to the customer in the customer's place. One that is not open any more is 404;
    one that somebody else decided at this moment, or that ended then, is 409, and says which."""
    asked = next((each for each in session.questions if each.id == question_id), None)
    if asked is None:
        raise ProblemError(404, "There is no such open question; GET the session for those that are open.")
    who, of_customer = name_of(caller, body.agent_name), asked.kind == "confirmation"
    if not await _decide(session, services, asked.digest, body.approved, who, for_customer=of_customer):
        raise ProblemError(409, await _what_came_first(question_id, await _looked_up(session, services), services))
    return await _again(session, services)


async def _what_came_first(question_id: UUID, session: Session, services: Services) -> str:
    """Why a decision on it does not hold, as it stands now."""
    came_to = await services.actions.came_to(question_id)
    if came_to in (CameTo.OPEN, CameTo.DROPPED) and session.owner in _OWNED:
        return f"This question is not open any more: {_OWNED[session.owner]}."
    return f"This question is not open any more: {_ENDED[came_to]}."


async def _decide(
    session: Session, services: Services, digest: str, approved: bool, who: str, *, for_customer: bool = False
) -> bool:
    """Hands the decision in; whether it holds. Who decided is in the database; what goes to the workflow is the
    entry's number.

    Raises TemporalUnavailable once Temporal is silent for READINESS_TIMEOUT_SECONDS, and StillWaiting while a turn is
    under way for CHANGE_WAIT_SECONDS."""
    by = await services.actions.hand_in(session.conversation_id, approved=approved, who=who)
    decision = ApprovalDecision(digest=digest, approved=approved, by=by, for_customer=for_customer)
    settings = services.settings
    deciding = services.conversations.resolve_approval(_ref_of(session), decision, settings.change_wait_seconds)
    changed = await services.readiness.while_temporal_answers(deciding, settings.readiness_timeout_seconds)
    return changed.decided


async def _going_on(session: Session, conversation_id: UUID, services: Services) -> Session:
    """The session of *conversation_id*, which was changed: another one if the customer's conversation was merged since
    it was looked up."""
    return session if conversation_id == session.conversation_id else await _looked_up(session, services)


async def _looked_up(session: Session, services: Services) -> Session:
    """The same customer's session, as it is by now. Raises 404 where they were erased meanwhile."""
    return await _find(services, session.channel, session.customer_id)


def _tell(session: Session, changed: Changed, services: Services) -> None:
    """Tells the workflow, beside the call: the change holds already."""
    ref = _ref_of(session)
    services.signals.standing_changed(ref)
    if changed.waiting_seq is not None:
        services.signals.message_stored([ref.model_copy(update={"seq": changed.waiting_seq})])


def _ref_of(session: Session) -> ConversationRef:
    return ConversationRef(
        conversation_id=session.conversation_id,
        workflow_id=session.workflow_id,
        channel=session.channel,
        assistant=session.assistant,
    )


async def _again(session: Session, services: Services) -> Session:
    return await _with_run_id(await _looked_up(session, services), services)


async def _with_run_id(session: Session, services: Services) -> Session:
    return session.model_copy(update={"run_id": await _run_id(session, services)})


async def _run_id(session: Session, services: Services) -> str | None:
    try:
        async with asyncio.timeout(services.settings.temporal_look_seconds):
            return await services.conversations.run_id(session.workflow_id)
    except (TemporalUnavailable, TimeoutError):
        return None
