"""Ends questions and approvals whose time is over, and tells: for one conversation's workflow at that moment, and for
the sweep, where no workflow runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from activities.assistants import AssistantCache
from config.logs import get_logger
from config.settings import Settings
from schemas.actions import Confirmation
from schemas.conversation_ref import ConversationRef
from storage.questions import Questions

log = get_logger(__name__)

_UNTOLD = "Nobody decided {action} in time. The customer was not told, for a person has the conversation."
_NOTES = {  # whether the message arrives is not known yet: the trouble page has those that could not be delivered
    Confirmation.STAFF: "Nobody approved {action} in time. A message for the customer says so.",
    Confirmation.CUSTOMER: "The customer did not answer in time whether to do {action}. A message for them says so.",
}


class Expiry:
    """Customers were promised an answer, or asked for one; staff see what they let pass."""

    def __init__(self, questions: Questions, assistants: AssistantCache, settings: Settings) -> None:
        self._questions = questions
        self._assistants = assistants
        self._settings = settings

    async def expire(self, conversation_id: UUID | None = None) -> AsyncIterator[tuple[ConversationRef, bool]]:
        """Ends up to SWEEP_BATCH of them, each once; gives its conversation, and whether a reply is due there."""
        for question in await self._questions.expired(self._settings.sweep_batch, conversation_id):
            texts = (await self._assistants.at(question.asker, question.asker_version)).texts
            others = texts.of_other_effects(done=question.something_done, unknown=question.something_unknown)
            note = _NOTES[question.confirmation_by].format(action=question.name)
            untold = _UNTOLD.format(action=question.name)
            needs_delivery = await self._questions.expire(
                question.action_id, words=others or texts.expired, note=note, untold_note=untold
            )
            log.warning("question_expired", conversation_id=str(question.conversation_id), action=question.name)
            yield question, needs_delivery
