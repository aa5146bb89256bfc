"""A question's request line: what is in it, and how long it may be."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.perplexity.port import AskFailed, ModelPrompt
from integrations.perplexity.request_line import check_room, room_in, target_of
from schemas.failures import ModelFailureKind


def question(text: str = "Hi", **changes: str) -> ModelPrompt:
    return ModelPrompt(text=text, account_name="acct-a", frontend_context_uuid="context-1").model_copy(update=changes)


def test_everything_that_is_known_is_said_and_nothing_else() -> None:
    target = target_of(question("a & b=ü", backend_uuid="backend-1"), "async", path_prefix="/wrapper")

    parts = urlsplit(target)
    assert parts.path == "/wrapper/api/query_async"
    assert parse_qs(parts.query) == {
        "q": ["a & b=ü"],
        "account_name": ["acct-a"],
        "backend_uuid": ["backend-1"],
        "frontend_context_uuid": ["context-1"],
        "answer_only": ["false"],
        "mode": ["auto"],
        "sources": ["web"],
        "language": ["en-US"],
    }


@given(st.text(max_size=300))
def test_the_room_is_counted_in_the_bytes_that_really_leave(text: str) -> None:
    target = target_of(question(text), "sync")

    url = httpx2.URL("http://127.0.0.1" + target)

    line = b"GET " + url.raw_path + b" HTTP/1.1\r\n"
    assert 15_000 - room_in(target, 15_000) == len(line)


def test_a_chinese_character_costs_nine_bytes() -> None:
    assert len(target_of(question("钱钱"), "sync")) - len(target_of(question("钱"), "sync")) == 9


def test_half_a_surrogate_pair_does_not_stop_a_question() -> None:
    assert parse_qs(urlsplit(target_of(question("a\ud83d"), "sync")).query)["q"] == ["a?"]


def test_what_is_too_long_is_refused_and_what_just_fits_is_not() -> None:
    target = target_of(question("x" * 5_000), "async")
    limit = 5_000 + len(target_of(question(""), "async")) + len("GET  HTTP/1.1\r\n")

    check_room(target, limit)
    with pytest.raises(AskFailed, match="1 bytes longer") as failed:
        check_room(target, limit - 1)

    assert failed.value.kind is ModelFailureKind.QUESTION_TOO_LONG
