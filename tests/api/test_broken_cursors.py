"""A `before` that no list gave out is the caller's error, whatever is in it."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest

from tests.support.clock import NOW
from tests.system_in_process import System


def cursor(of: str, at: str) -> str:
    return base64.urlsafe_b64encode(f"{of} {at} {UUID(int=0)}".encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("call", "before"),
    [
        ("session/c-1/transitions", str(2**63)),
        ("session/c-1/transitions", cursor("turns", NOW.isoformat())),
        ("session/c-1/turns", "0001-01-01T00:00:00+14:00"),
        ("session/c-1/turns", cursor("turns", "0800-01-01T00:00:00")),
        ("drift", cursor("drift", "9999-12-31T23:59:59-14:00")),
        ("deliveries", cursor("deliveries", "0001-01-01T00:00:00+14:00")),
        ("effects", cursor("effects", "9999-12-31T23:59:59-14:00")),
        ("effects", cursor("effects", "0800-01-01T00:00:00")),
        ("leftovers", cursor("leftovers", "0001-01-01T00:00:00+14:00")),
    ],
)
async def test_a_broken_before_is_422(system: System, call: str, before: str) -> None:
    await system.send("Hello")

    answer = await system.http.get(f"/api/{call}", params={"before": before})

    assert answer.status_code == 422, answer.text


async def test_a_before_of_another_list_is_told_so(system: System) -> None:
    await system.send("Hello")
    of_turns = cursor("turns", NOW.isoformat())

    lists = ("session/c-1/transitions", "drift", "deliveries", "effects", "leftovers")
    told = [(await system.http.get(f"/api/{call}", params={"before": of_turns})).json()["detail"] for call in lists]

    assert told == ["This `before` is of another list."] * len(lists)
    assert (await system.http.get("/api/session/c-1/turns", params={"before": of_turns})).status_code == 200


async def test_a_resend_with_a_content_type_and_no_body_is_read(system: System) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "0"}

    answer = await system.http.post(f"/api/deliveries/{UUID(int=0)}/resend", headers=headers)

    assert answer.status_code == 404, answer.text
