"""Keys of a customer in whichever field Meta puts them, and what a system message says that they change into."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.whatsapp.meta.senders import change_of, contact_of, sender_of, strange_ids
from tests.whatsapp_bodies import PHONE, USER_ID, message, parse, payload

NEW, NEW_ID, PARENT = "16505550000", "US.4002", "US.ENT.11815799212886844830"


def told(keys: list[Any]) -> dict[str, str]:
    return {each.kind: each.value for each in keys}


@pytest.mark.parametrize(
    ("fields", "contact", "keys"),
    [
        ({"from": PHONE}, {}, {"phone": PHONE}),
        ({"from": USER_ID}, {"wa_id": USER_ID}, {"user_id": USER_ID}),
        ({"from": USER_ID}, {"user_id": USER_ID, "wa_id": PHONE}, {"phone": PHONE, "user_id": USER_ID}),
        ({"from_user_id": PHONE}, {}, {"phone": PHONE}),
        ({"from": PHONE, "from_user_id": USER_ID}, {}, {"phone": PHONE, "user_id": USER_ID}),
        ({"from_parent_user_id": PARENT}, {}, {"parent_user_id": PARENT}),
        (
            {"from_user_id": USER_ID},
            {"user_id": USER_ID, "parent_user_id": PARENT},
            {"user_id": USER_ID, "parent_user_id": PARENT},
        ),
        ({"from": None, "from_user_id": ""}, {}, {}),
    ],
)
def test_keys_are_told_by_their_form(fields: dict[str, Any], contact: dict[str, Any], keys: dict[str, str]) -> None:
    assert told(sender_of(fields, "from", contact)) == keys


def test_the_contact_of_another_id_is_not_theirs() -> None:
    contacts = [{"wa_id": PHONE, "user_id": NEW_ID}, {"wa_id": NEW, "user_id": USER_ID}]

    assert contact_of({"from": PHONE, "from_user_id": USER_ID}, "from", contacts) == contacts[1]
    assert contact_of({"from": PHONE}, "from", contacts) == contacts[0]
    assert contact_of({"from": PHONE, "from_user_id": USER_ID}, "from", contacts[:1]) == {}


@pytest.mark.parametrize(
    ("sender", "system", "old", "new"),
    [
        ({"from": PHONE}, {"wa_id": NEW}, {"phone": PHONE}, {"phone": NEW}),
        ({"from": PHONE}, {"new_wa_id": NEW}, {"phone": PHONE}, {"phone": NEW}),
        ({"from": NEW}, {"wa_id": NEW, "customer": PHONE}, {"phone": PHONE}, {"phone": NEW}),
        ({}, {"user_id": NEW_ID, "previous_user_id": USER_ID}, {"user_id": USER_ID}, {"user_id": NEW_ID}),
        (
            {"from_user_id": NEW_ID},
            {"user_id": NEW_ID, "previous_user_id": USER_ID},
            {"user_id": USER_ID},
            {"user_id": NEW_ID},
        ),
        (
            {"from": PHONE, "from_user_id": NEW_ID},
            {"wa_id": NEW, "user_id": NEW_ID, "previous_user_id": USER_ID, "previous_parent_user_id": PARENT},
            {"phone": PHONE, "user_id": USER_ID, "parent_user_id": PARENT},
            {"phone": NEW, "user_id": NEW_ID},
        ),
        ({"from_user_id": NEW_ID}, {"user_id": NEW_ID}, {}, {"user_id": NEW_ID}),
        ({"from": PHONE}, {"body": f"User A changed from {PHONE} to {NEW}"}, {"phone": PHONE}, {}),
    ],
)
def test_a_change_is_read_from_both_sides(
    sender: dict[str, Any], system: dict[str, Any], old: dict[str, str], new: dict[str, str]
) -> None:
    one = {"type": "system", "system": system, **sender}

    was, becomes = change_of(one, sender_of(one, "from", {}))

    assert (told(was), told(becomes)) == (old, new)


def test_what_is_no_key_is_told() -> None:
    odd = {"from": PHONE, "from_user_id": 7.5, "to": None, "system": {"user_id": "?"}}

    assert strange_ids(odd, {"wa_id": ""}) == {"from_user_id": 7.5, "system.user_id": "?"}


@pytest.mark.parametrize(("field", "of_another"), [("messages", False), ("standby", True), ("history", True)])
def test_the_envelope_says_whose_traffic_it_is(field: str, of_another: bool) -> None:
    body = payload(messages=[message()], message_echoes=[message(id="e", to=PHONE)])
    body["entry"][0]["changes"][0]["field"] = field

    assert [each.of_another for each in parse(body).messages] == [of_another, of_another]
