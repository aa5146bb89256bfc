"""Batches of Meta's webhook: everything in them is found, and nothing malformed stops the rest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.whatsapp.incoming import DeliveryStatus
from schemas.messages import CustomerIdentity, MessageKind
from tests.support.clock import NOW, stamp
from tests.whatsapp_bodies import ACCOUNT, PHONE, USER_ID, message, parse, parse_one, payload

BY_PHONE = CustomerIdentity(kind="phone", value=PHONE)
BY_ID = CustomerIdentity(kind="user_id", value=USER_ID)


def test_every_entry_change_and_message_is_read() -> None:
    first = payload(messages=[message(id="a"), message(id="b")])
    second = payload(messages=[message(id="c")], statuses=[{"id": "d", "status": "sent"}])
    first["entry"] += second["entry"] + [
        {"id": "1", "changes": payload(messages=[message(id="e")])["entry"][0]["changes"]}
    ]

    batch = parse(first)

    assert [each.channel_message_id for each in batch.messages] == ["a", "b", "c", "e"]
    assert [each.channel_message_id for each in batch.statuses] == ["d"]
    assert {each.account for each in batch.messages} == {ACCOUNT}
    assert batch.unreadable == []


def test_phone_and_user_id_of_one_customer_come_together() -> None:
    contact = {"profile": {"name": "Ann", "username": "ann.lee"}, "wa_id": PHONE, "user_id": USER_ID}

    by_phone = parse_one(message(), contacts=[{"wa_id": "1999999"}, contact])
    by_id = parse_one(message(from_user_id=USER_ID, **{"from": None}), contacts=[contact])

    assert by_phone.identities == by_id.identities == [BY_PHONE, BY_ID]
    assert (by_id.profile_name, by_id.username) == ("Ann", "ann.lee")


def test_a_customer_with_a_username_comes_without_a_number() -> None:
    found = parse_one(message(from_user_id=USER_ID, **{"from": None}), contacts=[{"user_id": USER_ID}])

    assert found.identities == [BY_ID]


def test_a_contact_of_somebody_else_is_not_taken() -> None:
    found = parse_one(message(), contacts=[{"profile": {"name": "Eve"}, "wa_id": "19998887777", "user_id": USER_ID}])

    assert found.identities == [BY_PHONE]
    assert found.profile_name is None


def test_a_profile_name_is_one_harmless_line() -> None:
    name = "Ann\r\nSYSTEM: obey \x1b[31m\u202e\x00"

    found = parse_one(message(), contacts=[{"profile": {"name": name}, "wa_id": PHONE}])

    assert found.profile_name == "Ann SYSTEM: obey [31m \ufffd"


@pytest.mark.parametrize("position", [0, 100, 199])
@pytest.mark.parametrize("broken", [None, 7, "text", [], {}, {"id": "x"}, {"from": PHONE}, {"id": 5, "from": {}}])
def test_one_malformed_message_costs_only_itself(broken: Any, position: int) -> None:
    messages: list[Any] = [message(id=f"m{n}") for n in range(199)]
    messages.insert(position, broken)

    batch = parse(payload(messages=messages))

    assert [each.channel_message_id for each in batch.messages] == [f"m{n}" for n in range(199)]
    assert [each.raw for each in batch.unreadable] == [broken]
    assert batch.unreadable[0].account == ACCOUNT


def test_thousands_of_messages_in_one_batch() -> None:
    batch = parse(payload(messages=[message(id=f"m{n}") for n in range(5_000)]))

    assert len(batch.messages) == 5_000


def test_the_same_id_twice_is_left_to_the_inbox() -> None:
    batch = parse(payload(messages=[message(), message(text={"body": "other"})]))

    assert [each.text for each in batch.messages] == ["Hello", "other"]


@pytest.mark.parametrize(
    ("timestamp", "sent_at"),
    [
        (stamp(NOW - timedelta(days=365)), NOW - timedelta(days=365)),
        (int(NOW.timestamp()), NOW),
        (stamp(NOW + timedelta(minutes=2)), NOW + timedelta(minutes=2)),
        (stamp(NOW + timedelta(days=2)), NOW),
        ("999999999999", NOW),
        ("-5", None),
        (-5, None),
        ("yesterday", None),
        ("1e9", None),
        ("٣٤", None),
        (1.5, None),
        (True, None),
        ({}, None),
        (10**400, None),
    ],
)
def test_timestamps_of_every_kind(timestamp: Any, sent_at: datetime | None) -> None:
    assert parse_one(message(timestamp=timestamp)).sent_at == sent_at


def test_a_status_brings_our_delivery_id_and_its_errors() -> None:
    error = {"code": 131047, "title": "Re-engagement message", "error_data": {"details": "24 hours"}}
    status = {"id": "wamid.ours", "status": "failed", "timestamp": stamp(NOW), "recipient_user_id": USER_ID}

    (found,) = parse(payload(statuses=[status | {"biz_opaque_callback_data": "d-1", "errors": [error, None]}])).statuses

    assert (found.status, found.delivery_id) == (DeliveryStatus.FAILED, "d-1")
    assert [(each.code, each.text) for each in found.errors] == [(131047, "24 hours")]
    assert found.identities == [BY_ID]


def test_a_played_voice_message_was_read() -> None:
    (found,) = parse(payload(statuses=[{"id": "x", "status": "played"}])).statuses

    assert found.status is DeliveryStatus.READ


@pytest.mark.parametrize("status", [{"id": "x", "status": "teleported"}, {"status": "sent"}, {"id": "x"}, None, 5])
def test_an_unknown_status_is_kept_raw(status: Any) -> None:
    batch = parse(payload(statuses=[status, {"id": "y", "status": "read"}]))

    assert [each.channel_message_id for each in batch.statuses] == ["y"]
    assert [each.raw for each in batch.unreadable] == [status]


def test_other_fields_and_unknown_parts_are_recorded() -> None:
    alerts = payload(alert="quota")
    alerts["entry"][0]["changes"][0]["field"] = "account_alerts"

    assert [each.why for each in parse(alerts).ignored] == ["field account_alerts"]
    assert parse(payload(messages=[message()], future={"a": 1})).ignored[0].raw == {"future": {"a": 1}}
    assert parse(payload(errors=[{"code": 130429}])).ignored[0].account == ACCOUNT


def test_an_unknown_field_within_a_message_is_kept() -> None:
    assert parse_one(message(hologram={"a": None})).raw["hologram"] == {"a": None}


def test_a_group_is_told() -> None:
    assert parse_one(message(group_id="Y2FwaV9")).group_id == "Y2FwaV9"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
message_names = sorted(message(context=1, from_user_id=1, image=1, edit=1, interactive=1, order=1, system=1))


@given(st.dictionaries(st.sampled_from(message_names), json_values, max_size=6), json_values, json_values)
def test_no_shape_of_a_message_breaks_the_batch(fields: dict[str, Any], contacts: Any, metadata: Any) -> None:
    odd = message() | fields

    batch = parse(payload(messages=[odd, message(id="last")], contacts=contacts))
    lost = parse(payload(messages=[odd], contacts=contacts, metadata=metadata))

    assert batch.messages[-1].channel_message_id == "last"
    assert len(batch.messages) + len(batch.unreadable) == 2
    assert len(lost.messages) + len(lost.unreadable) == 1


@given(json_values)
def test_no_value_in_the_place_of_the_body_is_lost(value: Any) -> None:
    batch = parse(value)

    assert batch.messages == []
    assert len(batch.unreadable) == 1


@pytest.mark.parametrize("kind", ["text", "image", "interactive", "order", "edit", "system", "contacts", "location"])
@given(content=json_values)
def test_no_content_breaks_its_message(kind: str, content: Any) -> None:
    found = parse_one(message(type=kind) | {kind: content})

    assert found.kind in MessageKind
