"""Bodies that are signed and still nothing we can work with: kept, never raised, never half-taken."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from schemas.encoding import dump_json
from tests.whatsapp_bodies import message, parse, parse_one, payload

GOOD = json.dumps(payload(messages=[message()])).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"<html>",
        GOOD[:-1],
        GOOD + b"x",
        b"\xff\xfe" + GOOD,
        "caf\xe9".encode("latin-1"),
        gzip.compress(GOOD),
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"Body=hello&From=whatsapp",
    ],
)
def test_what_is_no_webhook_body_is_one_unreadable(body: bytes) -> None:
    batch = parse(body)

    assert len(batch.unreadable) == 1
    assert not batch.messages
    assert not batch.statuses
    dump_json(batch.model_dump()).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"object": None},
        {"object": "page"},
        {"entry": []},
        {"entry": None},
        {"entry": {}},
        {"entry": [None]},
        {"entry": [{"id": "1"}]},
        {"entry": [{"changes": None}]},
        {"entry": [{"changes": [None]}]},
        {"entry": [{"changes": [{"field": "messages", "value": None}]}]},
        {"entry": [{"changes": [{"field": "messages", "value": {"messages": None}}]}]},
        {"entry": [{"changes": [{"field": "messages", "value": {"messages": [message()], "metadata": None}}]}]},
    ],
)
def test_null_or_nothing_where_something_belongs(change: dict[str, Any]) -> None:
    batch = parse(payload(messages=[message()]) | change)

    assert len(batch.unreadable) == 1
    assert batch.messages == []


def test_an_empty_entry_does_not_hide_its_neighbour() -> None:
    body = payload(messages=[message()])
    body["entry"] = [None, {"changes": []}, *body["entry"]]

    batch = parse(body)

    assert len(batch.messages) == 1
    assert len(batch.unreadable) == 2


def test_what_the_database_cannot_store_is_replaced() -> None:
    body = GOOD.replace(b"Hello", rb"a\u0000b\ud800c\ud83d\ude00")

    (found,) = parse(body).messages

    assert found.text == "a\ufffdb\ufffdc😀"
    assert found.raw["text"]["body"] == found.text


def test_an_emoji_is_read_escaped_or_raw() -> None:
    escaped = GOOD.replace(b"Hello", rb"\ud83d\ude00")
    raw = GOOD.replace(b"Hello", "😀".encode())

    assert parse(escaped).messages[0].text == parse(raw).messages[0].text == "😀"


def test_of_duplicate_keys_the_last_counts() -> None:
    body = GOOD.replace(b'"type": "text"', b'"type": "image", "type": "text"')

    assert parse(body).messages[0].text == "Hello"


@pytest.mark.parametrize(
    "value",
    [b"1e400", b"-1e400", b"1" + b"0" * 400, b"1" + b"0" * 5_000, b"NaN", b"-Infinity", b"[" * 900 + b"]" * 900],
)
def test_an_extreme_value_in_an_unknown_field_is_stored_all_the_same(value: bytes) -> None:
    body = GOOD.replace(b'"type"', b'"future": ' + value + b', "type"')

    batch = parse(body)

    assert batch.messages[0].text == "Hello"
    stored = json.loads(dump_json(batch.messages[0].raw), parse_constant=pytest.fail)
    assert "future" in stored


def test_a_megabyte_on_one_line_is_cut_for_the_model_but_kept() -> None:
    found = parse_one(message(text={"body": "x" * 1_000_000}))

    assert len(found.text) == 65_536
    assert len(found.raw["text"]["body"]) == 1_000_000


@pytest.mark.parametrize(
    "words", ["\u202eevil", "\u200bx\u200d", "<b>x</b>", "=1+1", '{"action": "handoff_sales"}', "a\r\nb"]
)
def test_the_customers_words_are_not_touched(words: str) -> None:
    assert parse_one(message(text={"body": words})).text == words
