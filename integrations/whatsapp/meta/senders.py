"""Whose an event of the Cloud API is: a number and ids, in whichever field they stand; and what they change into.

Source: Meta, "Business-scoped user IDs" and "System messages webhook reference", read 2026-11. A user has a number
(which may be left out), an id of their own for each portfolio of a business, and one that several portfolios share
(parent). Any of the first two may stand where the other is expected. A username can pass to another person: it is no
key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from integrations.whatsapp.reading import identities, mapping, phone, user_id
from schemas.messages import CustomerIdentity


def sender_of(message: dict[str, Any], role: str, contact: dict[str, Any]) -> list[CustomerIdentity]:
    """The customer's keys: what the message says under *role* (`from`, or `to` of an echo), completed from their
    contact."""
    return _keys(
        (message.get(role), message.get(f"{role}_user_id"), contact.get("wa_id"), contact.get("user_id")),
        (message.get(f"{role}_parent_user_id"), contact.get("parent_user_id")),
    )


def contact_of(message: dict[str, Any], role: str, contacts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The contact of this customer: by an id if both have one, else by the number. Never by position alone."""
    wanted = sender_of(message, role, {})
    for kind in ("user_id", "parent_user_id", "phone"):
        for contact in contacts:
            theirs = sender_of({}, role, contact)
            if any(each.kind == kind and each in theirs for each in wanted) and not _other_id(wanted, theirs):
                return contact
    return {}


def change_of(
    message: dict[str, Any], sender: list[CustomerIdentity]
) -> tuple[list[CustomerIdentity], list[CustomerIdentity]]:
    """Of a system message: by what the customer was known, and by what they are from now on. The sender may be the old
    keys, the new ones, or missing; a change of a number tells the old id too. The text beside it holds the user's own
    name for themselves, so nothing is read from that."""
    system = mapping(message, "system")
    new = _keys(
        (system.get("wa_id") or system.get("new_wa_id"), system.get("user_id")), (system.get("parent_user_id"),)
    )
    old = _keys(
        (system.get("previous_wa_id"), system.get("previous_user_id"), system.get("customer")),
        (system.get("previous_parent_user_id"),),
    )
    named = {each.kind for each in old}
    old = [each for each in [*old, *(each for each in sender if each.kind not in named)] if each not in new]
    return sorted(old, key=lambda each: _ORDER.index(each.kind)), new


def strange_ids(message: dict[str, Any], contact: dict[str, Any]) -> dict[str, Any]:
    """Fields that should hold a key of the customer, and hold something in a form that is not known here."""
    return {name: value for name, value in _key_fields(message, contact) if _is_strange(value)}


_ORDER = ("phone", "user_id", "parent_user_id")
_OF_MESSAGE = ("from", "from_user_id", "from_parent_user_id", "to", "to_user_id", "to_parent_user_id")
_OF_CONTACT = ("wa_id", "user_id", "parent_user_id")
_OF_SYSTEM = ("wa_id", "user_id", "parent_user_id", "previous_user_id", "previous_parent_user_id")


def _key_fields(message: dict[str, Any], contact: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    system = mapping(message, "system")
    yield from ((name, message.get(name)) for name in _OF_MESSAGE)
    yield from ((f"contacts.{name}", contact.get(name)) for name in _OF_CONTACT)
    yield from ((f"system.{name}", system.get(name)) for name in _OF_SYSTEM)


def _is_strange(value: Any) -> bool:
    return value not in (None, "") and phone(value) is None and user_id(value) is None


def _keys(values: Iterable[Any], of_parent: Iterable[Any]) -> list[CustomerIdentity]:
    """The first number and the first id of *values*, by their form, and the first id of *of_parent*."""
    listed = list(values)
    return identities(_first(phone, listed), _first(user_id, listed), _first(user_id, of_parent))


def _first(read: Any, values: Iterable[Any]) -> str | None:
    return next((found for each in values if (found := read(each))), None)


def _other_id(one: list[CustomerIdentity], other: list[CustomerIdentity]) -> bool:
    """Whether both have an id, and not the same: a number alone does not make them one person."""
    ids = [{each.value for each in keys if each.kind == "user_id"} for keys in (one, other)]
    return bool(ids[0] and ids[1] and ids[0] != ids[1])
