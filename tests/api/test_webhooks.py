"""The webhooks' door: who may come in, how large, in what shape; and what happens while something is unavailable."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from api.background_signals import BackgroundSignals
from api.webhooks import Webhooks
from integrations.temporal.connection import connect
from integrations.temporal.conversations import Conversations
from integrations.whatsapp.double import Posted
from integrations.whatsapp.meta.signature import HEADER, sign
from integrations.whatsapp.twilio import signature as twilio_signature
from storage.database import Database
from storage.delivery_reports import DeliveryReports
from storage.inbox import Inbox
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import ACCOUNT, PHONE, message, parse, payload
from tests.whatsapp_customer import APP_SECRET, SETTINGS, Customer, post, written

TWILIO = {"twilio_account_sid": "AC0123456789", "twilio_auth_token": "twilio-token"}
PUBLIC = "https://bot.example"


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    settings = {**SETTINGS, **TWILIO, "public_url": PUBLIC, "channel_customer_messages_burst": 10_000}
    async with running_system(postgres_url, temporal_address, **settings) as system:
        yield system


async def _stored(system: System) -> int:
    row = await system.database.row("SELECT count(*) AS n FROM messages WHERE direction <> 'out'")
    assert row is not None
    return int(row["n"])


async def test_the_challenge_is_echoed_to_who_knows_the_token(system: System) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "the-verify-token", "hub.challenge": "<b>1158201444</b>"}

    right = await system.http.get("/api/webhooks/whatsapp", params=query)
    wrong = await system.http.get("/api/webhooks/whatsapp", params=query | {"hub.verify_token": "guess"})

    assert (right.status_code, right.text) == (200, "<b>1158201444</b>")
    assert right.headers["content-type"].startswith("text/plain")
    assert wrong.status_code == 403


BODY = json.dumps(payload(messages=[message(id="wamid.forged")])).encode()
FORGED = {
    "none": None,
    "sha1": "sha1=" + "0" * 40,
    "another secret": sign("another-secret", BODY),
    "another body": sign(APP_SECRET, BODY + b" "),
    "upper case": sign(APP_SECRET, BODY).upper(),
    "short": sign(APP_SECRET, BODY)[:-2],
    "no hex": "sha256=" + "z" * 64,
    "empty": "",
}


async def test_a_forged_call_is_refused_without_effect(system: System) -> None:
    answers = {}
    for name, header in FORGED.items():
        headers = {"Content-Type": "application/json"} | ({HEADER: header} if header is not None else {})
        answers[name] = await system.http.post("/api/webhooks/whatsapp", content=BODY, headers=headers)

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(FORGED, 401)
    assert not any(sign(APP_SECRET, BODY) in answer.text for answer in answers.values())
    assert await _stored(system) == 0


DEEP = b'{"object":' * 10_000 + b"1" + b"}" * 10_000
QUIET: dict[str, bytes] = {
    "not json": b"not json",
    "empty": b"",
    "not utf-8": b'{"object": "\xff\xfe"}',
    "deep": DEEP,
    "NaN": b'{"object": NaN}',
    "huge number": b'{"object": 1' + b"0" * 400 + b"}",
    "list": b"[]",
    "null": b"null",
    "no entry": b'{"object": "whatsapp_business_account", "entry": []}',
    "null changes": b'{"object": "whatsapp_business_account", "entry": [{"changes": null}]}',
    "null value": b'{"object": "whatsapp_business_account", "entry": [{"changes": [{"value": null}]}]}',
    "another object": b'{"object": "instagram", "entry": [{}]}',
    "all null": json.dumps(payload(messages=[dict.fromkeys(message())])).encode(),
    "unknown field": json.dumps(payload(surprise=[1])).encode(),
    "unknown status": json.dumps(payload(statuses=[{"id": "wamid.x", "status": "sent", "timestamp": "1"}])).encode(),
    "odd status": json.dumps(payload(statuses=[{"id": None, "status": 7}])).encode(),
    "foreign delivery id": json.dumps(
        payload(statuses=[{"id": "wamid.x", "status": "failed", "biz_opaque_callback_data": "'; DROP TABLE x.7"}])
    ).encode(),
}


async def test_what_cannot_be_read_is_taken_quietly_without_effect(system: System) -> None:
    statuses = {name: (await post(system, body)).status_code for name, body in QUIET.items()}

    assert statuses == dict.fromkeys(QUIET, 200)
    assert await _stored(system) == 0


async def test_a_body_of_10_megabytes_is_refused(system: System) -> None:
    assert (await post(system, b" " * 10_000_000)).status_code == 413


async def test_3_megabytes_are_taken_and_a_byte_more_is_not(system: System) -> None:
    assert (await post(system, b" " * 3_145_728)).status_code == 200
    assert (await post(system, b" " * 3_145_729)).status_code == 413


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}])
async def test_another_content_type_is_refused(system: System, headers: dict[str, str]) -> None:
    assert (await post(system, BODY, **headers)).status_code == 415


async def test_one_malformed_message_costs_only_itself(system: System) -> None:
    batch: list[Any] = [written(f"message {number}", **{"from": "15550007777"}) for number in range(200)]
    batch[77] = {"type": "text", "text": {"body": None}}

    response = await post(system, payload(messages=batch))

    assert response.status_code == 200
    assert await _stored(system) == 199


async def test_thousands_of_messages_in_one_batch_are_stored(system: System) -> None:
    people = [str(15_550_000_000 + number % 100) for number in range(3_000)]

    response = await post(system, payload(messages=[written("Hello", **{"from": person}) for person in people]))

    assert response.status_code == 200
    assert await _stored(system) == 3_000


async def test_an_odd_timestamp_costs_no_message(system: System) -> None:
    odd = ["0", "-5", "9999999999", "soon", "", None]

    for timestamp in odd:
        await Customer(system).send(written("Hello", timestamp=timestamp))

    assert len(await system.database.rows("SELECT id FROM messages WHERE direction = 'in'")) == len(odd)


async def test_odd_words_are_stored(system: System) -> None:
    odd = ["\x00", "\ud800", "a\x00b", "\u202etxet", "👩‍👩‍👧‍👦", "<script>alert(1)</script>", "x" * 65_536]

    for words in odd:
        await Customer(system).write(words)

    assert len(await system.database.rows("SELECT id FROM messages WHERE direction = 'in'")) == len(odd)


def _form(**fields: str) -> tuple[bytes, dict[str, str]]:
    form = {
        "MessageSid": "SM1",
        "AccountSid": TWILIO["twilio_account_sid"],
        "From": f"whatsapp:+{PHONE}",
        "To": "whatsapp:+15550783881",
        "Body": "Hello from Twilio",
        "NumMedia": "0",
    } | fields
    header = twilio_signature.sign(TWILIO["twilio_auth_token"], f"{PUBLIC}/api/webhooks/twilio", form.items())
    return str(httpx2.QueryParams(form)).encode(), {twilio_signature.HEADER: header}


async def _twilio(system: System, body: bytes, headers: dict[str, str]) -> httpx2.Response:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return await system.http.post("/api/webhooks/twilio", content=body, headers=kind | headers)


def _sent_by(system: System, account: str) -> list[Posted]:
    return [each for each in system.whatsapp.sent if each.request.account == account]


async def test_twilio_brings_a_message_which_is_answered(system: System) -> None:
    body, headers = _form()

    first, second = await _twilio(system, body, headers), await _twilio(system, body, headers)
    sent = await until("a reply over Twilio's number", lambda: _sent_by(system, "15550783881"))

    assert (first.status_code, first.text) == (200, "<Response/>")
    assert second.status_code == 200
    assert [each.text for each in sent] == ["You said: Hello from Twilio"]


async def test_the_signature_is_over_the_address_as_it_was_called(system: System) -> None:
    body, _ = _form()
    path = "/api/webhooks/twilio/"
    fields = httpx2.QueryParams(body.decode()).multi_items()
    headers = {twilio_signature.HEADER: twilio_signature.sign(TWILIO["twilio_auth_token"], PUBLIC + path, fields)}

    answer = await system.http.post(path, data=dict(fields), headers=headers)

    assert answer.status_code == 200


async def test_both_providers_are_one_channel_and_the_reply_leaves_by_the_one_it_came_by(system: System) -> None:
    body, headers = _form()
    await _twilio(system, body, headers)
    await until("a reply over Twilio's number", lambda: _sent_by(system, "15550783881"))
    await Customer(system).write("Hello from Meta")
    await Customer(system).until_received(2)

    accounts = await system.database.rows("SELECT account, channel FROM conversations ORDER BY account DESC")
    customers = await system.database.rows("SELECT id FROM customers")

    assert [row["account"] for row in accounts] == ["twilio:15550783881", ACCOUNT]
    assert {row["channel"] for row in accounts} == {"whatsapp"}
    assert len(customers) == 1
    assert [each.text for each in _sent_by(system, ACCOUNT)] == ["You said: Hello from Meta"]


async def test_twilio_reports_what_became_of_a_message(system: System) -> None:
    body, headers = _form(MessageSid="SM9", **{"From": "whatsapp:+15550003333"})
    await _twilio(system, body, headers)
    (posted,) = await until("a reply", lambda: system.whatsapp.sent)

    status = {"MessageSid": posted.channel_message_id, "MessageStatus": "delivered", "From": "whatsapp:+15550783881"}
    status |= {"To": "whatsapp:+15550003333", "AccountSid": TWILIO["twilio_account_sid"]}
    path = f"/api/webhooks/twilio?delivery_id={posted.request.delivery_id}"
    signature = twilio_signature.sign(TWILIO["twilio_auth_token"], PUBLIC + path, status.items())
    answer = await system.http.post(path, data=status, headers={twilio_signature.HEADER: signature})

    delivery = await system.database.row("SELECT status FROM deliveries")
    assert answer.status_code == 200
    assert delivery is not None
    assert delivery["status"] == "delivered"


async def test_twilio_forged_or_of_another_account_is_refused(system: System) -> None:
    body, headers = _form(MessageSid="SM2")
    other_body, other_headers = _form(MessageSid="SM3", AccountSid="AC999")

    assert (await _twilio(system, body, {})).status_code == 401
    assert (await _twilio(system, body + b"&Body=more", headers)).status_code == 401
    assert (await _twilio(system, other_body, other_headers)).status_code == 401
    assert (await _twilio(system, b"\xff\xfe", headers)).status_code == 401


async def test_a_human_replies_over_the_customers_channel(system: System) -> None:
    customer = Customer(system)
    await customer.write("Hello")
    await customer.until_received(1)
    reply = {"text": "Ann here, how can I help?", "agent_name": "Ann"}
    path = f"/api/session/+{customer.phone}/messages?channel=whatsapp"

    first = await system.http.post(path, json=reply, headers={"Idempotency-Key": "r-1"})
    second = await system.http.post(path, json=reply, headers={"Idempotency-Key": "r-1"})
    other = await system.http.post(path, json=reply | {"text": "Other"}, headers={"Idempotency-Key": "r-1"})

    assert (first.status_code, second.status_code, other.status_code) == (202, 202, 409)
    assert first.json() == second.json()
    assert (await customer.until_received(2))[1] == "Ann here, how can I help?"


async def test_a_human_replies_over_http_into_the_record(system: System) -> None:
    await system.send("Hello")

    taken = await system.http.post("/api/session/c-1/messages", json={"text": "Ann here", "agent_name": "Ann"})
    blank = await system.http.post("/api/session/c-1/messages", json={"text": " ", "agent_name": "Ann"})
    nobody = await system.http.post("/api/session/nobody/messages", json={"text": "Hi", "agent_name": "Ann"})

    assert (taken.status_code, blank.status_code, nobody.status_code) == (202, 422, 404)
    row = await system.database.row("SELECT author_name, delivery FROM messages WHERE author = 'agent'")
    assert row is not None
    assert tuple(row.values()) == ("Ann", None)


async def test_over_the_limit_http_gets_429(postgres_url: str, temporal_address: str) -> None:
    limits = {"customer_messages_per_minute": 1, "customer_messages_burst": 2}  # none comes back meanwhile
    async with running_system(postgres_url, temporal_address, **limits) as system:
        answers = [await system.send(f"message {number}", message_id=f"m-{number}") for number in range(3)]
        again = await system.send("message 0", message_id="m-0")
        other = await system.send("Hello", customer="c-2")

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
        assert (again.status_code, other.status_code) == (200, 200)
        assert await _stored(system) == 3


async def test_with_temporal_away_a_webhook_is_taken_and_answered_later(system: System) -> None:
    nowhere = await connect(system.settings.model_copy(update={"temporal_address": "127.0.0.1:1"}), lazy=True)
    wakes = BackgroundSignals(Conversations(nowhere, system.settings), at_once=1)
    reports = DeliveryReports(system.database)
    webhooks = Webhooks(system.services.inbox, reports, wakes, system.settings)

    await webhooks.take("whatsapp", parse(payload(messages=[written("Hello")])))
    await wakes.close()
    assert system.perplexity.prompts == []
    (overdue,) = await system.services.waiting.overdue(0, 10)  # what the sweep does
    await system.services.conversations.signal_message_stored(overdue)

    assert await Customer(system).until_received(1) == ["You said: Hello"]


async def test_with_the_database_away_it_is_503_and_nothing_is_half_taken(system: System) -> None:
    unreachable = Database("postgresql://nobody@127.0.0.1:1/none", statement_seconds=1)
    wakes = BackgroundSignals(system.services.conversations, at_once=1)
    webhooks = Webhooks(Inbox(unreachable), DeliveryReports(unreachable), wakes, system.settings)
    kept, system.services.webhooks = system.services.webhooks, webhooks

    response = await post(system, payload(messages=[written("Hello")]))

    system.services.webhooks = kept
    assert (response.status_code, "Retry-After" in response.headers) == (503, True)
    assert await _stored(system) == 0
    assert (await post(system, payload(messages=[written("Hello")]))).status_code == 200
