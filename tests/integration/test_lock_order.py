"""All statements take their locks in one order (`storage/database.py`), so that no two wait for each other in a circle.

Each is run against a transaction that holds the rows of one level: while it waits for those, it must hold no row of a
later level. Nothing is left to timing: that it waits is seen in PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import RowMapping
from sqlalchemy.exc import DBAPIError

from integrations.channels.failures import SendFailed, SendFailureKind
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig
from schemas.conversations import ApprovalDecision
from schemas.deliveries import DueMessage, PlannedPart, StatusReport
from schemas.effects import EffectStatus
from schemas.messages import BatchOptions, ChannelMessage, CustomerIdentity
from schemas.standing import Owner
from schemas.transitions import Event
from schemas.turn_decisions import GiveReply, Move, OutputRecord
from schemas.turn_record import Purpose, TurnFence
from schemas.turns import Verdict
from storage.account_slots import AccountSlots, Granted
from storage.actions import Actions, Told
from storage.database import Database, Transaction
from storage.deliveries import Deliveries
from storage.delivery_reports import DeliveryReports
from storage.desk import Desk
from storage.erasure import Erasure
from storage.failed_attempts import FailedAttempt, FailedAttempts
from storage.inbox import Inbox
from storage.ledger import Ledger
from storage.merges import Merges
from storage.outbox import Outbox
from storage.questions import Questions
from storage.sessions import Sessions
from storage.standings import Standings
from storage.turn_commits import TurnCommits
from storage.turns import ClaimedTurn, Turns
from tests.integration.test_unsaid import TICKET, Conversation
from tests.support import clock
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import ACCOUNT, PHONE
from tests.whatsapp_customer import SETTINGS

ORDER = {
    "customers": ["SELECT 1 FROM customers FOR NO KEY UPDATE"],
    "effects": ["SELECT 1 FROM effects FOR UPDATE"],
    "turns": ["SELECT 1 FROM turns WHERE finished_at IS NULL FOR UPDATE"],
    "conversations": ["SELECT 1 FROM conversations FOR UPDATE"],
    "what belongs to them": [
        f"SELECT 1 FROM {table} FOR UPDATE"
        for table in ("messages", "actions", "tickets", "handoffs", "threads", "account_calls", "account_places")
    ],
}
"""The levels, each as it is locked at most by anybody."""
OTHER_PHONE = "15550001499"
OTHER_ID = "MY.13491208655302741918"


class _Undone(Exception):
    pass


class Rehearsal(Database):
    """Does what it is asked to, locks and all, and undoes it."""

    @asynccontextmanager
    async def transaction(
        self, isolation: Literal["READ COMMITTED", "REPEATABLE READ"] = "READ COMMITTED"
    ) -> AsyncIterator[Transaction]:
        with suppress(_Undone):
            async with super().transaction(isolation) as transaction:
                yield transaction
                raise _Undone

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        found: Sequence[RowMapping] = []
        async with self.transaction() as transaction:
            found = await transaction.rows(statement, values)
        return found


@dataclass
class Scene:
    """A conversation in which everything is open at once."""

    system: System
    database: Database
    id: UUID
    turn: ClaimedTurn
    slot: UUID
    approval: ApprovalDecision
    action_id: UUID
    due: DueMessage
    failed_part: UUID

    @property
    def fence(self) -> TurnFence:
        return TurnFence(
            turn_id=self.turn.id,
            conversation_id=self.id,
            step=self.turn.step,
            attempt=self.turn.attempt,
            last_seq=self.turn.last_claimed_seq,
            frontend_context_uuid=uuid4(),
            owner_version=self.turn.owner_version,
        )

    @property
    def output(self) -> OutputRecord:
        return OutputRecord(
            id=uuid4(),
            purpose=Purpose.ANSWER,
            verdict=Verdict.TEXT,
            text="Words",
            errors=(),
            notes=(),
            details={},
            backend_uuid="b",
            thread_url_slug=None,
            account_name="account",
            collection_uuid=None,
            prompt_pack="1",
            pack_echoed=None,
            pack_told=None,
            slot=self.slot,
            model_ms=1,
            first_text_ms=1,
        )


@pytest.fixture
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, worker=False, **SETTINGS) as system:
        yield system


@pytest.fixture
async def scene(still: System) -> AsyncIterator[Scene]:
    """A ticket is open, one more waits for staff; a reply is due in two parts, another has failed; a turn is asking
    and belongs to an owner's version of before."""
    talk = Conversation(still)
    await _failed_reply(talk)
    still.perplexity.scripts.append(TICKET)
    await talk.customer.write("My lamp broke")
    await talk.answer()
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}))
    await still.services.configurations.apply("default", config, "test")
    still.perplexity.scripts.append(TICKET.replace("Lamp", "Chair"))
    await talk.customer.write("My chair broke")
    await talk.answer()
    approval, action_id = await _approval(talk)
    outbox = Outbox(still.database)
    [first, due] = await outbox.due(await talk.id)
    await outbox.plan(first, [PlannedPart(part=0, text="one")], 60)
    due.parts = await outbox.plan(due, [PlannedPart(part=n, text="words") for n in range(2)], 60)
    await talk.customer.write("And my table?")
    turns = Turns(still.database)
    turn = await turns.claim(await talk.id, talk.cursor, talk.thread.frontend_context_uuid, 10)
    assert turn is not None
    slot = uuid4()
    slots = AccountSlots(still.database, in_flight=5, per_minute=50, lease_seconds=60, place_seconds=60)
    assert await slots.claim(turn.id, turn.attempt, slot, "account") == Granted()
    await talk.change(Event.TAKEN)
    [failed] = await still.database.rows("SELECT id FROM effects WHERE kind = 'part' AND status = 'failed'")
    rehearsal = Rehearsal(still.settings.database_url or "", now=clock.now)
    yield Scene(still, rehearsal, await talk.id, turn, slot, approval, action_id, due, failed["id"])
    await rehearsal.close()


async def _failed_reply(talk: Conversation) -> None:
    talk.system.whatsapp.failures.append(SendFailed(SendFailureKind.RECIPIENT_FINAL, "nobody there"))
    await talk.customer.write("Hello")
    await talk.answer()
    await talk.deliver()


async def _approval(talk: Conversation) -> tuple[ApprovalDecision, UUID]:
    """Staff's yes, as it is handed in, and what it is about."""
    [asked] = await talk.system.database.rows("SELECT id, digest FROM actions WHERE status = 'awaiting_confirmation'")
    by = await Actions(talk.system.database).hand_in(await talk.id, approved=True, who="Ann")
    decision = ApprovalDecision(digest=asked["digest"], approved=True, by=by, conversation_id=await talk.id)
    return decision, asked["id"]


def _lost(scene: Scene, attempt: int) -> FailedAttempt:
    return FailedAttempt(
        turn_id=scene.turn.id,
        conversation_id=scene.id,
        attempt=attempt,
        raw_output_id=uuid4(),
        purpose=Purpose.ANSWER,
        failure="upstream",
        explanation="no answer",
        unknown=False,
        slot=scene.slot,
    )


async def _expire(scene: Scene) -> None:
    next_month = Rehearsal(scene.system.settings.database_url or "", now=lambda: clock.now() + timedelta(days=31))
    questions = Questions(next_month)
    await questions.expire(scene.action_id, words="Too late", note="Too late", untold_note="Too late")
    await next_month.close()


async def _end_of_a_move(scene: Scene) -> None:
    """What the turn did to the owner was done, and counts no more."""
    [moved] = await scene.system.database.rows("SELECT key FROM effects WHERE status = 'confirmed' AND kind <> 'part'")
    move = Move(Event.HANDOFF, Owner.HUMAN, effect_key=moved["key"])
    await TurnCommits(scene.database).commit(scene.fence, GiveReply("Words", move=move), uuid4(), scene.output)


async def _late_output(scene: Scene) -> None:
    late = replace(scene.fence, step=scene.turn.step + 7)
    await TurnCommits(scene.database).commit(late, GiveReply("Words"), uuid4(), scene.output)


async def _statuses(scene: Scene) -> None:
    parts = [StatusReport(channel_message_id="w", status="sent", delivery_id=part.id) for part in scene.due.parts]
    failed = StatusReport(channel_message_id="f", status="failed", delivery_id=scene.failed_part)
    await DeliveryReports(scene.database).record("whatsapp", [*parts, failed])


async def _meet(scene: Scene) -> None:
    """Their number and an id that came alone before are one customer's."""
    both = [CustomerIdentity(kind="phone", value=PHONE), CustomerIdentity(kind="user_id", value=OTHER_ID)]
    values = {"account": ACCOUNT, "kind": "reaction", "speaks": False, "text": "", "sent_at": clock.now()}
    alone = ChannelMessage(**values, channel_message_id="alone", identities=both[1:])
    await Inbox(scene.system.database).store_batch("whatsapp", [alone], BatchOptions())
    together = ChannelMessage(**values, channel_message_id="together", identities=both)
    await Inbox(scene.database).store_batch("whatsapp", [together], BatchOptions())


async def _change_number(scene: Scene) -> None:
    """To one that was somebody's alone, from whom nothing had come before it."""
    values = {"account": ACCOUNT, "speaks": False, "text": "", "sent_at": clock.now()}
    new = [CustomerIdentity(kind="phone", value=OTHER_PHONE)]
    alone = ChannelMessage(**values, kind="reaction", channel_message_id="alone", identities=new)
    await Inbox(scene.system.database).store_batch("whatsapp", [alone], BatchOptions())
    old = [CustomerIdentity(kind="phone", value=PHONE)]
    changed = ChannelMessage(**values, kind="system", channel_message_id="changed", identities=old, new_identities=new)
    await Inbox(scene.database).store_batch("whatsapp", [changed], BatchOptions())


async def _write_and_meet(scene: Scene) -> None:
    """One webhook brings what locks a conversation, and behind it what makes two customers one."""
    both = [CustomerIdentity(kind="phone", value=PHONE), CustomerIdentity(kind="user_id", value=OTHER_ID)]
    values = {"account": ACCOUNT, "kind": "reaction", "speaks": False, "text": "", "sent_at": clock.now()}
    alone = ChannelMessage(**values, channel_message_id="alone", identities=both[1:])
    await Inbox(scene.system.database).store_batch("whatsapp", [alone], BatchOptions())
    batch = [
        ChannelMessage(**values, channel_message_id="first", identities=both[:1]),
        ChannelMessage(**values, channel_message_id="together", identities=both),
    ]
    await Inbox(scene.database).store_batch("whatsapp", batch, BatchOptions())


async def _erase(scene: Scene) -> None:
    erasure = Erasure(scene.database)
    await erasure.erase(await erasure.customer_of(scene.id), actor="Ann", force=True)


async def _write(scene: Scene) -> None:
    written = ChannelMessage(
        account=ACCOUNT,
        channel_message_id="new",
        kind="text",
        speaks=True,
        text="And my bed?",
        sent_at=clock.now(),
        identities=[CustomerIdentity(kind="phone", value=PHONE)],
    )
    await Inbox(scene.database).store_batch("whatsapp", [written], BatchOptions())


DEEDS: dict[str, Callable[[Scene], Awaitable[Any]]] = {
    "a ticket is resolved": lambda scene: Desk(scene.database).resolve_ticket("T-1001", who="Ann"),
    "staff decide": lambda scene: Actions(scene.database).decide(scene.approval),
    "a decision is told": lambda scene: Actions(scene.database).tell(
        scene.id, scene.action_id, Told(Event.APPROVED, "Done", moves=Event.HANDOFF)
    ),
    "a question expires": _expire,
    "a step ends": lambda scene: TurnCommits(scene.database).commit(
        scene.fence, GiveReply("Words"), uuid4(), scene.output
    ),
    "a step with a move ends": _end_of_a_move,
    "an output comes late": _late_output,
    "an attempt fails": lambda scene: FailedAttempts(scene.database).record(_lost(scene, scene.turn.attempt)),
    "an attempt fails late": lambda scene: FailedAttempts(scene.database).record(_lost(scene, scene.turn.attempt + 7)),
    "messages are claimed": lambda scene: Turns(scene.database).claim(scene.id, scene.turn.first_seq - 1, uuid4(), 10),
    "a run is cancelled": lambda scene: Sessions(scene.database).stop(scene.id),
    "a reply is planned": lambda scene: Outbox(scene.database).plan(scene.due, [], 60),
    "parts are renewed": lambda scene: Outbox(scene.database).renew(scene.due, 60),
    "a part is claimed": lambda scene: Ledger(scene.database).claim(
        scene.due.parts[0].key, lease_seconds=60, give_up_seconds=60, from_statuses=[EffectStatus.PLANNED]
    ),
    "a reply is withheld": lambda scene: Outbox(scene.database).withhold(scene.due.id, "note"),
    "a reply is finished": lambda scene: Outbox(scene.database).finish(scene.due.id),
    "a reply is given up": lambda scene: Outbox(scene.database).give_up(
        scene.due, SendFailureKind.UNKNOWN, "no status", "note"
    ),
    "statuses come": _statuses,
    "a part is sent again": lambda scene: Deliveries(scene.database).resend(scene.failed_part, asked_by="Ann"),
    "it is given back": lambda scene: Standings(scene.database).change(scene.id, Event.RELEASED, who="Ann"),
    "it starts over": lambda scene: Standings(scene.database).reset(scene.id, new_thread=True, who="Ann"),
    "two customers are one": _meet,
    "a number changes": _change_number,
    "two are one behind a message": _write_and_meet,
    "a merged one hands over": lambda scene: Merges(scene.database).hand_over(scene.id),
    "a customer is erased": _erase,
    "a customer writes": _write,
}


async def test_who_waits_for_a_lock_holds_none_that_comes_later(scene: Scene) -> None:
    held = [
        f"{name}: holds {later} while it waits for {level}"
        for name, deed in DEEDS.items()
        for level in ORDER
        if (later := await _held_while_waiting(scene, deed, level))
    ]

    assert held == []


async def _held_while_waiting(scene: Scene, deed: Callable[[Scene], Awaitable[Any]], level: str) -> str | None:
    """The first later level of which *deed* has rows while all rows of *level* are somebody else's."""
    levels = list(ORDER)
    found: str | None = None
    async with scene.system.database.transaction() as holder:
        await _lock(holder, level)
        doing = asyncio.ensure_future(deed(scene))
        await until(f"a wait for {level}", lambda: _waits(scene, holder, doing))
        for later in levels[levels.index(level) + 1 :]:
            try:
                await _lock(holder, later, "NOWAIT")
            except DBAPIError:
                found = later
                break
    await within("the end of the deed", doing, lambda: level)
    return found


async def _lock(holder: Transaction, level: str, how: str = "") -> None:
    for statement in ORDER[level]:
        await holder.rows(f"{statement} {how}")


async def _waits(scene: Scene, holder: Transaction, doing: asyncio.Future[Any]) -> bool:
    """For a row of the holder's; or it is done, and needed none."""
    if doing.done():
        return True
    [holding] = await holder.rows("SELECT pg_backend_pid() AS pid")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))"
    return bool(await scene.system.database.rows(waiting, {"pid": holding["pid"]}))
