"""Defects that the core once had, put back one at a time: a statement's text, a setting or a collaborator is another.

They are the proven holes of the review behind issue 10, numbered as there. `power.py` says how soon each is found.
Those from 101 are beside them: two undo what stands today between the bot and a person who has the conversation, two
what stands between who had a number and who has it.
One is not here: 9 (nothing beat while the database was unavailable) is a matter of heartbeats, which nobody counts
here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.actions import ActionActivities, _Work
from activities.assistants import AssistantCache, LoadedAssistant
from activities.turn import TurnActivities
from config.clock import Clock, Monotonic
from config.settings import Settings
from schemas.effects import Claim, EffectOutcome
from schemas.messages import MessageKind, WaitingMessage
from storage.configurations import Configurations
from storage.database import Database
from storage.turns import ClaimedTurn, Turns
from tests.model.database import Rewrite
from tests.model.stage import Stage
from worker.app import Activities, Outside, create_activities

CLAIM = "WITH waiting AS ("
COMMIT = "the commit of a step"
BEGIN = "SELECT * FROM effects WHERE key = :key FOR UPDATE"
COMPLETE = "AND :status = 'unknown')::int"
_LATELY = "h.opened_at > agent_now() - interval '10 minutes'"
GET = "WHERE turn.id = :turn_id"


@dataclass(frozen=True)
class Hole:
    """*turns*, *assistants*, *acting*: classes in the place of the core's; *function*: another body of one of the
    database's, by its name."""

    number: int
    name: str
    rewrites: Sequence[Rewrite] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    turns: type[Turns] = Turns
    assistants: type[AssistantCache] = AssistantCache
    acting: type[ActionActivities] = ActionActivities
    function: tuple[str, str] | None = None


class _LastCounts(ClaimedTurn):
    @property
    def counting(self) -> list[WaitingMessage]:
        return super().counting[-1:]


class _LastAnswers(Turns):
    """Of messages that are answered together, only the last is looked at."""

    async def claim(self, conversation_id: UUID, cursor: int, thread: UUID, limit: int) -> ClaimedTurn | None:
        turn = await super().claim(conversation_id, cursor, thread, limit)
        return None if turn is None else _LastCounts.model_validate(turn.model_dump())


class _OldButtonsAreMessages(Turns):
    """A button of another question than the open one is a message like any other."""

    async def claim(self, conversation_id: UUID, cursor: int, thread: UUID, limit: int) -> ClaimedTurn | None:
        turn = await super().claim(conversation_id, cursor, thread, limit)
        for message in turn.messages if turn is not None else ():
            digest = (message.choice_id or "").partition(":")[2]
            if digest and (turn is None or turn.question is None or digest != turn.question.digest):
                message.choice_id, message.kind = None, MessageKind.TEXT
        return turn


class _NewestBots(AssistantCache):
    """Whatever version was meant, the newest is taken."""

    async def at(self, name: str, version: int | None) -> LoadedAssistant:
        newest = await self._configurations.newest(name)
        return await super().at(name, newest.version or None)


class _BeginsFirst(ActionActivities):
    """An action that is in the configuration no more fails after it was begun, each time."""

    async def _outcome(self, work: _Work, claimed: Claim) -> EffectOutcome:
        if work.call is None:
            raise ApplicationError("no such action", non_retryable=True)
        return await super()._outcome(work, claimed)


class _SpeaksLate(ActionActivities):
    """An attempt whose effect another has taken believes its own outcome, as long as that one has none."""

    async def _record(self, work: _Work, claimed: Claim, outcome: EffectOutcome) -> EffectOutcome:
        known = await self._ledger.get(claimed.key)
        if known.fence != claimed.fence and not known.status.is_settled:
            return outcome
        return await super()._record(work, claimed, outcome)


HOLES: tuple[Hole, ...] = (
    Hole(
        1,
        "a zombie's text overrides an action under way",
        [
            Rewrite(
                COMMIT,
                "WHERE step = :step AND finished_at IS NULL AND status = ANY(:from_statuses) AND owner",
                "WHERE :step >= 0 AND finished_at IS NULL AND owner",
            ),
            Rewrite(
                COMMIT,
                "AND step = :step AND finished_at IS NULL AND status = ANY(:from_statuses)\n    RETURNING",
                "AND finished_at IS NULL\n    RETURNING",
            ),
        ],
    ),
    Hole(
        2,
        "a reply of unknown outcome is sent again without end",
        [
            Rewrite(
                COMPLETE,
                "unknown_attempts = e.unknown_attempts + (e.status = 'sending' AND :status = 'unknown')::int",
                "unknown_attempts = e.unknown_attempts",
            )
        ],
    ),
    Hole(3, "of a burst only the last message counts", turns=_LastAnswers),
    Hole(
        4,
        "a yes from before the question confirms it",
        [Rewrite(CLAIM, "LEFT JOIN question_words(p) AS put ON true", "LEFT JOIN question_words(p) AS put ON false")],
    ),
    Hole(
        5,
        "a second handoff within ten minutes is not recorded",
        [
            Rewrite(
                "INSERT INTO handoffs (conversation_id, effect_key",
                "WHERE id = :conversation_id",
                f"WHERE NOT EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = conversations.id AND {_LATELY})"
                " AND id = :conversation_id",
            ),
            Rewrite(
                COMMIT,
                "WHERE after.owner_after = 'human' AND after.owner <> 'human'",
                "WHERE after.owner_after = 'human' AND after.owner <> 'human'"
                f" AND NOT EXISTS (SELECT 1 FROM handoffs h WHERE h.conversation_id = after.id AND {_LATELY})",
            ),
        ],
    ),
    Hole(
        6,
        "a repaired action takes the first one's place",
        [
            Rewrite(
                CLAIM,
                "(SELECT count(*) FROM actions a WHERE a.turn_id = turn.id) AS actions",
                "CASE turn.purpose WHEN 'repair' THEN 0 ELSE"
                " (SELECT count(*) FROM actions a WHERE a.turn_id = turn.id) END AS actions",
            )
        ],
    ),
    Hole(
        7,
        "a failure after a confirmed effect denies it",
        [Rewrite(CLAIM, "done.something_done", "false AS something_done")],
    ),
    Hole(8, "a changed configuration blocks the conversation", assistants=_NewestBots, acting=_BeginsFirst),
    Hole(
        10,
        "a failed delivery is forgotten if its status comes first",
        [
            Rewrite(
                "SELECT finish_message(",
                "SELECT finish_message(id) AS finished FROM messages WHERE id = :message_id AND delivery = 'due'",
                "UPDATE messages SET delivery = 'done' WHERE id = :message_id RETURNING true AS finished",
            )
        ],
    ),
    Hole(
        11,
        "two customers become one, and their conversations do not",
        function=(
            "merge_customers",
            "CREATE OR REPLACE FUNCTION merge_customers(p_from uuid, p_into uuid) RETURNS void LANGUAGE sql AS"
            " 'UPDATE channel_identities SET customer_id = p_into WHERE customer_id = p_from'",
        ),
    ),
    Hole(
        12,
        "a repeated commit breaks on its own output",
        [Rewrite(COMMIT, "AS uuid) IS NOT NULL\n    ON CONFLICT DO NOTHING", "AS uuid) IS NOT NULL")],
    ),
    Hole(
        13,
        "waiting for the account is a try",
        [
            Rewrite(
                CLAIM,
                "unknown_attempts = turns.unknown_attempts",
                "times_asked = turns.times_asked + (turns.status = 'claimed')::int, unknown_attempts = "
                "turns.unknown_attempts",
            )
        ],
    ),
    Hole(
        14,
        "an approval expires in silence",
        [Rewrite("SELECT a.id AS action_id, a.name", "a.expires_at <= agent_now()", "false")],
    ),
    Hole(15, "a button of an older question is a message", turns=_OldButtonsAreMessages),
    Hole(
        16,
        "a thread that begins with an action knows no account",
        [
            Rewrite(
                COMMIT,
                "WHERE CAST(:account_name AS text) IS NOT NULL",
                "WHERE CAST(:account_name AS text) IS NOT NULL AND CAST(:output_verdict AS text) = 'text'",
            )
        ],
    ),
    Hole(
        17,
        "a rejected output is where the conversation goes on",
        [
            Rewrite(
                CLAIM,
                "turn.frontend_context_uuid,\n       turn.backend_uuid,",
                "turn.frontend_context_uuid, coalesce(turn.newest_backend_uuid, turn.backend_uuid) AS backend_uuid,",
            )
        ],
    ),
    Hole(
        18,
        "a zombie's look costs the living attempt its tries",
        [
            Rewrite(
                GET,
                "\nSELECT ",
                "\nWITH looked AS (UPDATE turns SET unknown_attempts = unknown_attempts + 1"
                " WHERE id = :turn_id AND status = 'asking')\nSELECT ",
            )
        ],
    ),
    Hole(
        101,
        "what was said before leaves under a person",
        [Rewrite(BEGIN, "before.owner_version >= place.taken_version", "true")],
    ),
    Hole(
        102,
        "what was asked before is said under a person",
        [Rewrite(COMMIT, "CASE WHEN place.owner_version = CAST(:owner_version AS bigint)\n", "CASE WHEN true\n")],
    ),
    Hole(103, "a zombie's refusal denies what another attempt is doing", acting=_SpeaksLate),
    Hole(
        104,
        "who writes from a freed number is who had it",
        function=(
            "free_keys",
            "CREATE OR REPLACE FUNCTION free_keys(p_customer uuid, p_channel text, p_keys jsonb, p_old jsonb, "
            "p_at timestamptz) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$",
        ),
    ),
    Hole(
        105,
        "a part leaves for the number that its customer had when it was planned",
        [
            Rewrite(
                BEGIN,
                "SELECT * FROM address_of(found.conversation_id) WHERE found.kind = 'part'",
                "SELECT coalesce((SELECT f.value FROM former_identities f JOIN conversations c USING (customer_id)"
                " WHERE c.id = found.conversation_id LIMIT 1), a.phone) AS phone, a.user_id"
                " FROM address_of(found.conversation_id) AS a",
            )
        ],
    ),
)


@contextmanager
def put_back(hole: Hole, stage: Stage) -> Iterator[None]:
    """In the database, for as long as the block lasts."""
    stage.database.rewrites, stage.database.rewritten = hole.rewrites, set()
    was = ""
    if hole.function is not None:
        name, text = hole.function
        was = stage.rows("SELECT pg_get_functiondef(CAST(:name AS regproc)) AS was", {"name": name})[0]["was"]
        stage.rows(text)
    try:
        yield
    finally:
        stage.database.rewrites = ()
        if was:
            stage.rows(was)


def composed(
    hole: Hole,
    client: Client,
    database: Database,
    outside: Outside,
    settings: Settings,
    now: Clock,
    monotonic: Monotonic,
) -> Activities:
    """As `worker.app.create_activities`, with the hole's collaborators."""
    does = create_activities(client, database, outside, settings, now, monotonic)
    if hole.turns is Turns and hole.assistants is AssistantCache and hole.acting is ActionActivities:
        return does
    was, answering = does.actions, does.turn
    turns, assistants = hole.turns(database), hole.assistants(Configurations(database), settings)
    beat, commits = activity.heartbeat, was._commits
    acting = hole.acting(
        turns, commits, was._actions, was._ledger, was._standings, assistants, was._handlers, settings, beat, now
    )
    answers = TurnActivities(
        turns,
        commits,
        assistants,
        answering._prompts,
        answering._slots,
        answering._model_calls,
        answering._presence,
        answering._failures,
        acting,
        settings,
        beat,
        now,
    )
    return replace(does, turn=answers, actions=acting)
