"""Who is who on WhatsApp: numbers and ids that change hands, through the webhook, while something is open or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from integrations.channels.failures import SendFailed, SendFailureKind
from integrations.whatsapp.double import Posted
from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from storage.erasure import Erasure
from storage.exports import Exports
from storage.tables import metadata
from tests.support.clock import now, stamp
from tests.support.shop import CANCEL, output
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS
from tests.whatsapp_line import Line, changed

OLD, NEW = "15550001411", "15550001412"
ID, NEW_ID, BENS_ID = "US.4001", "US.4002", "US.2222"
PARENT = "US.ENT.11815799212886844830"
CALL = output("api_call", endpoint="cancel_order", params={})


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        yield system


@pytest.fixture
def ana(system: System) -> Line:
    return Line(system, OLD, name="Ana")


@pytest.fixture
def her_new_line(system: System) -> Line:
    return Line(system, NEW, name="Ana")


@pytest.fixture
def ben(system: System) -> Line:
    """Who gets her number afterwards."""
    return Line(system, OLD, BENS_ID, name="Ben")


async def moves(ana: Line, **told: Any) -> None:
    """The channel says that she has another number."""
    await ana.sends(changed(**{"sender_from": OLD, "wa_id": NEW} | told))


async def at_rest(system: System) -> None:
    owed = "SELECT 1 FROM conversations WHERE cursor < newest_seq UNION ALL SELECT 1 FROM messages WHERE delivery='due'"
    await until("nothing waiting, nothing due", lambda: system.database.rows(owed), lambda rows: not rows)


async def test_who_writes_from_a_freed_number_is_somebody_else(ana: Line, her_new_line: Line, ben: Line) -> None:
    await ana.writes("I am Ana, my order is 4711")
    await ana.until_received(1)

    await moves(ana)
    await her_new_line.writes("it is me on my new number")
    await her_new_line.until_received(1)
    await ben.writes("what is my order number?")
    await ben.until_received(2)

    hers, his = ana.asked("4711").frontend_context_uuid, ben.asked("order number?").frontend_context_uuid
    assert ana.asked("new number").frontend_context_uuid == hers != his
    assert "4711" not in ben.asked("order number?").text
    assert her_new_line.received == ["You said: it is me on my new number"]
    assert ben.received[1:] == ["You said: what is my order number?"]


async def test_nor_is_who_writes_from_it_without_any_id(ana: Line, her_new_line: Line) -> None:
    await ana.writes("I am Ana")
    await ana.until_received(1)

    await moves(ana)
    await Line(ana.system, OLD).writes("and who am I?")
    await ana.until_received(2)

    assert ana.asked("who am I?").frontend_context_uuid != ana.asked("I am Ana").frontend_context_uuid
    assert her_new_line.received == []


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ({"user_id": ID}, changed("user_changed_user_id", user_id=NEW_ID, previous_user_id=ID), {"user_id": NEW_ID}),
        (
            {"user_id": ID},
            changed("user_changed_user_id", sender_from_user_id=NEW_ID, user_id=NEW_ID, previous_user_id=ID),
            {"user_id": NEW_ID},
        ),
        (
            {"user_id": ID},
            changed("user_changed_user_id", sender_from_user_id=ID, user_id=NEW_ID),
            {"user_id": NEW_ID},
        ),
        (
            {"phone": OLD, "user_id": ID},
            changed(sender_from=OLD, wa_id=NEW, user_id=NEW_ID, previous_user_id=ID),
            {"phone": NEW, "user_id": NEW_ID},
        ),
        ({"phone": OLD, "user_id": ID}, changed(sender_from=OLD, wa_id=NEW), {"phone": NEW, "user_id": NEW_ID}),
        (
            {"phone": OLD, "user_id": ID},
            changed("user_changed_user_id", user_id=NEW_ID, previous_user_id=ID),
            {"phone": OLD, "user_id": NEW_ID},
        ),
        ({"phone": OLD}, changed("customer_changed_number", sender_from=OLD, new_wa_id=NEW), {"phone": NEW}),
        ({"phone": OLD}, changed(customer=OLD, wa_id=NEW), {"phone": NEW}),
    ],
)
async def test_a_change_moves_the_customer_whichever_side_the_sender_is(
    system: System, before: dict[str, str], change: dict[str, Any], after: dict[str, str]
) -> None:
    first, then = Line(system, **before), Line(system, **after)
    await first.writes("I am Ana")
    await first.until_received(1)

    await first.sends(change | {"timestamp": stamp(now())})
    await then.writes("me again")
    await until("the answer", lambda: system.whatsapp.sent, lambda sent: len(sent) == 2)

    assert first.asked("me again").frontend_context_uuid == first.asked("I am Ana").frontend_context_uuid
    assert then.received[-1] == "You said: me again"


async def test_a_change_that_tells_one_side_only_changes_nothing_and_is_kept_aside(ana: Line) -> None:
    await ana.writes("I am Ana")
    await ana.until_received(1)

    await ana.sends(changed("user_changed_user_id", sender_from_user_id=NEW_ID, user_id=NEW_ID))
    await ana.sends(changed(sender_from=OLD))

    rows = await ana.system.database.rows("SELECT why FROM leftovers ORDER BY why")
    assert [row["why"] for row in rows] == [f"a changed number or id without the {side} one" for side in ("new", "old")]


@pytest.mark.parametrize("name", ["from", "from_user_id", "from_parent_user_id"])
async def test_an_id_is_read_in_whichever_field_it_stands(system: System, name: str) -> None:
    line = Line(system, user_id=ID)
    contact = {"profile": {"name": "Ana"}, "wa_id": ID}

    await line.sends({**changed(), "type": "text", "text": {"body": "Hi"}, name: ID}, contacts=[contact])

    assert await line.until_received(1) == ["You said: Hi"]
    assert await system.database.rows("SELECT 1 FROM leftovers") == []


async def test_the_parents_id_alone_leads_to_who_came_with_it(system: System) -> None:
    line = Line(system, user_id=ID)
    await line.writes("I am Ana", from_parent_user_id=PARENT)
    await line.until_received(1)

    await Line(system).writes("me again", from_parent_user_id=PARENT)

    assert await line.until_received(2)
    assert line.asked("me again").frontend_context_uuid == line.asked("I am Ana").frontend_context_uuid


async def test_an_id_in_a_strange_form_is_never_dropped_in_silence(ana: Line) -> None:
    await ana.writes("Hello", from_user_id="n/a")

    await ana.until_received(1)
    [left] = await ana.system.database.rows("SELECT why, raw FROM leftovers")
    assert (left["why"], left["raw"]) == (
        "an id in a form that is not known here: from_user_id",
        {"from_user_id": "n/a"},
    )


async def test_an_answer_under_way_goes_where_she_is_by_then(ana: Line, her_new_line: Line, ben: Line) -> None:
    ana.system.perplexity.gate.clear()
    await ana.writes("I am Ana")
    await ana.system.until_asked(1)
    await moves(ana)
    await ben.writes("I am Ben")
    await ana.system.until_asked(2)

    ana.system.perplexity.gate.set()

    assert await her_new_line.until_received(1) == ["You said: I am Ana"]
    assert await ben.until_received(1) == ["You said: I am Ben"]


async def test_the_rest_of_a_reply_goes_where_she_is_by_then(ana: Line, her_new_line: Line, ben: Line) -> None:
    """It was read before the change, with the number of that time."""

    async def moved(_posted: Posted) -> None:
        await moves(ana)
        await ben.writes("I am Ben")

    ana.system.perplexity.scripts.append("Many words of it. " * 500)
    ana.system.whatsapp.before_answering.append(moved)
    await ana.writes("Tell me everything")
    await at_rest(ana.system)

    assert len(ana.received) == 2
    assert ben.received[1:] == ["You said: I am Ben"]
    assert len(her_new_line.received) >= 2


async def test_a_reply_that_waits_for_its_next_try_goes_where_she_is_by_then(
    ana: Line, her_new_line: Line, ben: Line
) -> None:
    """So does the copy of one of which nobody knows whether it has left."""
    ana.system.whatsapp.failures.append(SendFailed(SendFailureKind.TRANSIENT, "not now", retry_after=0.5))
    await ana.writes("I am Ana")
    failed = "SELECT 1 FROM effects WHERE failure = 'transient'"
    await until("a failed try", lambda: ana.system.database.rows(failed))
    await moves(ana)
    await ben.writes("I am Ben")

    assert await her_new_line.until_received(1) == ["You said: I am Ana"]
    assert await ben.until_received(1) == ["You said: I am Ben"]


async def test_an_open_question_stays_hers(ana: Line, her_new_line: Line, ben: Line) -> None:
    system = ana.system
    actions = AssistantActions(endpoints=(CANCEL,))
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    system.perplexity.scripts.append(CALL)
    await ana.writes("Cancel my order", timestamp=stamp(now() - timedelta(seconds=60)))
    [question] = await ana.until_received(1)
    await at_rest(system)
    await moves(ana, sent_at=stamp(now() - timedelta(seconds=30)))

    await ben.writes("yes")
    await ben.until_received(2)
    assert system.endpoints.calls == []
    assert "Cancel my order" not in ben.asked("yes").text
    settled = {"then": now() - timedelta(seconds=30)}
    await system.database.rows("UPDATE effects SET settled_at = :then, claimed_at = :then", settled)
    await her_new_line.writes("yes")
    await her_new_line.until_received(1)

    assert "Cancels" in question
    assert len(system.endpoints.calls) == 1


async def test_staffs_words_that_come_again_are_not_told_to_who_has_the_number_by_then(
    ana: Line, her_new_line: Line, ben: Line
) -> None:
    async def say() -> Any:
        address, body = f"/api/session/{OLD}/messages?channel=whatsapp", {"text": "Dear Ana", "agent_name": "Ann"}
        return await ana.system.http.post(address, json=body, headers={"Idempotency-Key": "reply-1"})

    await ana.writes("I am Ana")
    await ana.until_received(1)
    first = await say()
    await ana.until_received(2)
    await moves(ana)
    await ben.writes("I am Ben")
    await ben.until_received(3)

    again = await say()
    await at_rest(ana.system)

    assert (first.status_code, again.status_code) == (202, 202), again.text
    assert again.json()["message_id"] == first.json()["message_id"]
    assert ben.received[2:] == ["You said: I am Ben"]
    assert her_new_line.received == []


async def test_an_erasure_finds_what_she_wrote_under_the_number_that_is_not_hers_any_more(
    ana: Line, her_new_line: Line
) -> None:
    system = ana.system
    await ana.writes("Zanzibar")
    await ana.until_received(1)
    strange = {"from": OLD, "id": "wamid.strange", "type": "text", "text": {"body": "Zanzibar"}, "timestamp": "1"}
    await ana.sends({**strange, "from_user_id": OLD + "?"})
    await moves(ana)
    await her_new_line.writes("Zanzibar")
    await at_rest(system)
    session = (await system.http.get(f"/api/session/{NEW}?channel=whatsapp")).json()
    customer = await Erasure(system.database).customer_of(UUID(session["conversation_id"]))
    exported = await Exports(system.database).customer(customer)

    await Erasure(system.database).erase(customer, actor="test", force=True)

    assert [each["value"] for each in exported["former_identities"]] == [OLD]
    for table in metadata.tables:
        rows = await system.database.rows(f"SELECT to_jsonb({table})::text AS row FROM {table}")
        left = [row["row"] for row in rows if any(each in row["row"] for each in ("Zanzibar", OLD, NEW))]
        assert left == [], table


async def test_what_she_wrote_before_the_change_and_comes_after_it_is_hers(ana: Line, her_new_line: Line) -> None:
    """Channels deliver in any order; so does what she edits or takes back under the old number."""
    await ana.writes("I am Ana", timestamp=stamp(now() - timedelta(seconds=60)))
    await ana.until_received(1)
    await moves(ana, sent_at=stamp(now() - timedelta(seconds=30)))

    await ana.writes("this comes late", timestamp=stamp(now() - timedelta(seconds=40)))

    assert await her_new_line.until_received(1) == ["You said: this comes late"]
    assert len(ana.received) == 1


async def test_a_change_that_is_told_late_moves_who_had_the_number_then(
    ana: Line, her_new_line: Line, ben: Line
) -> None:
    ana.user_id = ID
    await ana.writes("I am Ana", timestamp=stamp(now() - timedelta(seconds=60)))
    await ana.until_received(1)
    await ben.writes("I am Ben", timestamp=stamp(now() - timedelta(seconds=20)))
    await ben.until_received(2)

    await moves(ana, sent_at=stamp(now() - timedelta(seconds=40)))
    await her_new_line.writes("it is me")
    await her_new_line.until_received(1)
    await ben.writes("it is me, Ben")
    await ben.until_received(3)

    threads = [each.frontend_context_uuid for each in ana.system.perplexity.prompts]
    assert threads[0] == threads[2] != threads[1] == threads[3]


async def test_a_new_id_without_a_number_is_written_to_by_the_id(ana: Line) -> None:
    """A channel tells of the id alone where the new number may not be told: the old one may be anybody's."""
    ana.user_id = ID
    await ana.writes("I am Ana")
    await ana.until_received(1)
    ana.system.perplexity.gate.clear()
    await ana.writes("and now?")
    await ana.system.until_asked(2)

    await ana.sends(changed("user_changed_user_id", user_id=NEW_ID, previous_user_id=ID))
    ana.system.perplexity.gate.set()
    await until("the answer", lambda: ana.system.whatsapp.sent, lambda sent: len(sent) == 2)

    recipient = ana.system.whatsapp.sent[-1].request.recipient
    assert (recipient.phone, recipient.user_id) == (None, NEW_ID)


async def verified(system: System) -> list[bool]:
    rows = await system.database.rows("SELECT verified_at IS NOT NULL AS yes FROM channel_identities ORDER BY kind")
    return [row["yes"] for row in rows]


@pytest.mark.parametrize(
    ("days", "name", "user_id", "stays"),
    [
        (91, "Ben", None, False),
        (91, "Ana", None, True),
        (89, "Ben", None, True),
        (91, None, None, True),
        (91, "Ben", ID, True),
    ],
)
async def test_a_silent_number_with_another_name_is_not_verified_any_more(
    system: System, days: int, name: str | None, user_id: str | None, stays: bool
) -> None:
    ana = Line(system, OLD, user_id, name="Ana")
    await ana.writes("I am Ana", timestamp=stamp(now() - timedelta(days=days)))
    await until("a message", lambda: system.perplexity.prompts)

    await Line(system, OLD, user_id, name=name).writes("who am I?")
    await system.until_asked(2)

    assert set(await verified(system)) == {stays}
    assert len({each.frontend_context_uuid for each in system.perplexity.prompts}) == 1
    await ana.writes("and again")
    await system.until_asked(3)
    assert set(await verified(system)) == {stays}


async def test_who_has_another_number_is_not_verified(ana: Line, her_new_line: Line) -> None:
    await ana.writes("I am Ana")
    before = await verified(ana.system)

    await moves(ana)
    await her_new_line.writes("it is me")

    assert (before, await verified(ana.system)) == ([True], [False])


async def test_whose_keys_became_one_are_not_verified(system: System) -> None:
    await Line(system, OLD).writes("by number")
    await Line(system, None, ID).writes("by id")
    before = await verified(system)

    await Line(system, OLD, ID).writes("by both")

    assert (before, await verified(system)) == ([True, True], [False, False])
