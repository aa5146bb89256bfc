"""What the model test (tests/model/) found: two actions of one turn, a question that is kept, an erasure in
between, an attempt of unknown outcome before one that surely failed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.channels.failures import SendFailureKind
from integrations.endpoints.port import CallFailureKind, EndpointFailed, EndpointResult
from schemas.actions import AssistantActions, Confirmation
from schemas.assistants import AssistantConfig, Texts
from schemas.conversations import ApprovalDecision, NextStep, Perform, Thread, TurnRequest
from schemas.deliveries import PlannedPart
from schemas.messages import BatchOptions, ChannelMessage, CustomerIdentity
from storage.erasure import Erasure
from storage.inbox import Inbox
from storage.ledger import Ledger
from storage.outbox import Outbox
from tests.incoming import incoming
from tests.support import clock
from tests.support.shop import BOOK, CANCEL, output
from tests.system_in_process import System, running_system
from worker.app import Activities, create_activities

BOOKS = output("api_call", endpoint="book", params={})
PAY = BOOK.model_copy(update={"name": "pay", "url": "https://shop.example/pay", "honours_idempotency_key": True})

INVOICE = BOOK.model_copy(update={"name": "invoice", "url": "https://shop.example/invoice"})


async def configure(system: System, **actions: Any) -> None:
    config = AssistantConfig(actions=AssistantActions(endpoints=(BOOK, PAY, INVOICE, CANCEL), **actions))
    await system.services.configurations.apply("default", config, "test")


async def test_an_action_that_is_refused_after_one_that_was_done_denies_nothing(system: System) -> None:
    await configure(system, enabled=("api_call",))
    system.perplexity.scripts.extend([BOOKS, output("create_ticket", subject="Lamp", description="Broken")])

    turn = (await system.send("Book it, and open a ticket")).json()

    assert turn["reply"]["text"] == Texts().partly_done


async def test_an_action_that_fails_after_one_that_was_done_denies_nothing(system: System) -> None:
    await configure(system)
    system.perplexity.scripts.extend([BOOKS, output("api_call", endpoint="pay", params={})])
    refused = EndpointFailed(CallFailureKind.FAILED, "no money")
    system.endpoints.outcomes.extend([EndpointResult(status=200, body="{}"), refused])

    turn = (await system.send("Book it and pay")).json()

    assert turn["reply"]["text"] == Texts().partly_done


async def test_an_action_of_which_nobody_knows_leaves_no_doubt_about_one_that_was_done(system: System) -> None:
    await configure(system)
    system.perplexity.scripts.extend([BOOKS, output("api_call", endpoint="invoice", params={})])
    nobody_knows = EndpointFailed(CallFailureKind.UNKNOWN, "the connection broke")
    system.endpoints.outcomes.extend([EndpointResult(status=200, body="{}"), nobody_knows])

    turn = (await system.send("Book it and write an invoice")).json()

    assert turn["reply"]["text"] == Texts().partly_unknown


async def test_a_question_that_was_answered_is_not_kept_open(system: System) -> None:
    await configure(system, unclear_answer="keep")
    system.perplexity.scripts.extend([output("api_call", endpoint="cancel_order", params={}), "It is cancelled."])
    await system.send("Cancel my order")

    turn = (await system.send("yes")).json()

    assert (turn["reply"]["text"], turn["state"]) == ("It is cancelled.", "bot")


async def test_an_action_whose_customer_was_erased_before_it_began_ends_at_once(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False) as still:
        await configure(still)
        does, perform = await _planned(still, BOOKS)
        (planned,) = await still.database.rows("SELECT conversation_id FROM actions")
        await _erase(still, planned["conversation_id"])

        outcome = await ActivityEnvironment().run(does.actions.perform, perform)

    assert (outcome.step, outcome.cursor) == (NextStep.FINISHED, 1)
    assert still.endpoints.calls == []


async def test_what_an_earlier_attempt_may_have_done_is_not_said_to_have_failed(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False) as still:
        await configure(still)
        does, planned = await _planned(still, output("api_call", endpoint="pay", params={}))
        await _begin(still)  # by an attempt that then vanished
        still.endpoints.outcomes.extend([EndpointFailed(CallFailureKind.NOT_SENT, "nobody there")] * 9)

        await _performed(does, planned)

        effect = await still.database.row("SELECT status FROM effects")
    assert effect is not None
    assert effect["status"] == "unknown"


async def test_an_approved_action_that_was_done_is_not_refused_because_the_configuration_changed(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False) as still:
        await configure(still, confirmations={"create_ticket": Confirmation.STAFF})
        does, _ = await _planned(still, output("create_ticket", subject="Lamp", description="Broken"))
        (asked,) = await still.database.rows("SELECT digest, conversation_id FROM actions")
        decision = ApprovalDecision(**asked, approved=True)
        await ActivityEnvironment().run(does.actions.resolve_approval, decision)
        await still.database.rows("DELETE FROM messages WHERE id_scope = 'action'")  # that worker died before it told
        await configure(still, enabled=("api_call",))

        await ActivityEnvironment().run(does.actions.resolve_approval, decision)

        told = await still.database.row("SELECT text FROM messages WHERE id_scope = 'action'")
    assert told is not None
    assert told["text"].startswith(Texts().ticket_opened.partition("{")[0])


async def test_a_part_that_comes_back_after_an_erasure_is_not_left_planned(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address, worker=False) as still:
        conversation_id = await _written(still)
        outbox = Outbox(still.database)
        await outbox.add(conversation_id, "Hello", message_id=uuid4(), author="agent")
        (due,) = await outbox.due(conversation_id)
        (part,) = await outbox.plan(due, [PlannedPart(part=0, text="Hello")], 3_600)
        begun = (await outbox.claim(part, 60)).part
        assert begun is not None
        await _erase(still, conversation_id)

        released = await outbox.ledger.release(begun, SendFailureKind.TRANSIENT, {})  # it took nothing

        effect = await outbox.ledger.get(begun.key)
    assert (released, effect.status) == (False, "unknown")


async def _written(still: System) -> UUID:
    message = ChannelMessage(
        account="100",
        channel_message_id="in-1",
        identities=[CustomerIdentity(kind="phone", value="15550000001")],
        kind="text",
        speaks=True,
        text="Hello",
        sent_at=clock.NOW,
    )
    (outcome,) = await Inbox(still.database).store_batch("whatsapp", [message], BatchOptions())
    assert outcome.ref is not None
    return outcome.ref.conversation_id


async def _planned(still: System, said: str) -> tuple[Activities, Perform]:
    """The model said so to a customer's message; what the next step of the turn would be asked for."""
    still.perplexity.scripts.append(said)
    does = create_activities(still.temporal, still.database, still.outside, still.settings, now=clock.now)
    message = await still.services.inbox.store(incoming("Please", 1))
    thread = Thread(frontend_context_uuid=uuid4())
    request = TurnRequest(conversation_id=message.conversation_id, cursor=0, thread=thread)
    outcome = await ActivityEnvironment().run(does.turn.answer, request)
    return does, Perform(action_id=outcome.action_id)


async def _performed(does: Activities, perform: Perform) -> None:
    """Attempt after attempt, as Temporal makes them."""
    for _ in range(9):
        with suppress(ApplicationError):
            await ActivityEnvironment().run(does.actions.perform, perform)
            return


async def _begin(still: System) -> None:
    row = await still.database.row("SELECT key FROM effects")
    assert row is not None
    await Ledger(still.database).claim(row["key"], lease_seconds=0, give_up_seconds=3_600)


async def _erase(system: System, conversation_id: UUID) -> None:
    erasure = Erasure(system.database)
    await erasure.erase(await erasure.customer_of(conversation_id), actor="user test", force=True)
