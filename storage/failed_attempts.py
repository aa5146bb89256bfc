"""Attempts that got no answer: the turn may be claimed again, and what had come by then is kept in `raw_outputs`."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from schemas.failures import ModelFailureKind
from schemas.turn_record import Purpose
from storage.commit_statement import RAW_COLUMNS
from storage.database import Database

_FAIL = f"""
WITH turn AS MATERIALIZED (
    SELECT id FROM turns WHERE id = :turn_id FOR UPDATE
), failed AS (
    UPDATE turns SET status = 'failed', failure = :failure, unknown_attempts = unknown_attempts + :unknown_attempts,
           times_asked = times_asked - CAST(:given_back AS boolean)::int,
           purpose = CASE WHEN CAST(:anew AS boolean) THEN 'answer' ELSE purpose END
     WHERE id = (SELECT id FROM turn) AND attempt = :attempt AND status IN ('claimed', 'asking') RETURNING id
), slot AS (
    UPDATE account_calls SET ended_at = agent_now() WHERE id = :slot AND NOT CAST(:given_back AS boolean)
), call AS (
    DELETE FROM account_calls WHERE id = :slot AND CAST(:given_back AS boolean)
)
INSERT INTO raw_outputs ({RAW_COLUMNS}, used)
SELECT :raw_output_id, turn.id, :conversation_id, :attempt, :purpose, NULL, '[]', '[]', :failure, :explanation,
       :text, '{{}}', :prompt_pack, NULL, NULL, :model_ms, :first_text_ms, false
  FROM turn
ON CONFLICT DO NOTHING
"""
"""An attempt ends without an answer. `anew`: the step is given up for a prompt with newer messages. `given_back`: it
counts neither as a try nor as one of the account's calls."""


class FailedAttempt(BaseModel):
    """A model call that brought no answer. `unknown`: an answer may exist that we did not get.

    `anew`: it was dropped for one with newer messages, so the turn begins again. `given_back`: nobody was reached, so
    it counts neither as a try nor as one of the account's calls. `prompt_pack`: as in an `OutputRecord`; None where
    nothing is kept of what the model may have said.
    """

    turn_id: UUID
    conversation_id: UUID
    attempt: int
    raw_output_id: UUID
    purpose: Purpose
    failure: ModelFailureKind
    explanation: str
    unknown: bool
    anew: bool = False
    given_back: bool = False
    text: str = ""
    prompt_pack: str | None = None
    slot: UUID | None = None
    model_ms: int | None = None
    first_text_ms: int | None = None


class FailedAttempts:
    """Attempts are ended here that no commit ends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, failed: FailedAttempt) -> None:
        """Records that this attempt is over without an answer, and what had come by then."""
        values = failed.model_dump(exclude={"unknown"})
        await self._database.rows(_FAIL, {**values, "unknown_attempts": int(failed.unknown)})
