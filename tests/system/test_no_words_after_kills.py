"""Words stand in PostgreSQL and nowhere else, also after it was killed again and again in the middle of statements.

A mark in each kind of word; afterwards every log, and Temporal's own database with all histories, is searched for it.
"""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random, randrange

import httpx2
import pytest

from tests.support.waiting import START_SECONDS, until
from tests.system.chaos_checks import record
from tests.system.chaos_faults import Killer, killing
from tests.system.running import KEY, Program, running
from tests.system.whatsapp_crowd import phone_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SEED = randrange(10**9)
CUSTOMERS = range(8)
KILLS = 5
PATIENCE_SECONDS = 10.0
"""Of a client, until it sends the same again."""
CUSTOMER, PROFILE, MODEL, ACTION = "Markcustomer", "Markprofile", "Markmodel", "Markaction"
REASON, STAFF, AGENT = "Markreason", "Markstaff", "Markagent"
MARKS = [CUSTOMER, PROFILE, MODEL, ACTION, REASON, STAFF, AGENT]
ANSWER = f"{MODEL} says a thing or two"
TICKET = (
    f'{{"action": "create_ticket", "reason": "{ACTION}", "metadata": {{"subject": "{ACTION}", "description": "Lamp"}}}}'
)
SETTINGS = {"LOG_RAW_OUTPUT_CHARACTERS": "0", "LOG_LEVEL": "debug", "RESTART_LIMIT": "1000", "QUIET_SECONDS": "0.2"}
OUTSIDE = {"simulator.log", "standin.log"}
"""What is said there, others said: both stand in for somebody else's servers."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="agent-words-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o711)
        yield Path(place) / "data"


def says(output: str) -> str:
    """A message that the simulator answers with *output*; the words themselves stand in it in base64."""
    return f"{CUSTOMER} [[sim: slow=0.3 reply=base64:{base64.b64encode(output.encode()).decode()}]]"


async def put(http: httpx2.AsyncClient, path: str, body: dict[str, object], answered: list[str]) -> None:
    """As often as need be: the database is killed under it."""

    async def once() -> int | str:
        try:
            return (await http.post(path, json=body)).status_code
        except httpx2.TransportError as error:
            return repr(error)

    await until(f"an answer of {path}", once, lambda got: isinstance(got, int) and got < 400, seconds=START_SECONDS)
    answered.append(path)


async def one_life(
    api: httpx2.AsyncClient, phones: httpx2.AsyncClient, customer: int, turn: int, answered: list[str]
) -> None:
    """A customer over HTTP with an answer and a ticket, one on the phone, and staff with both."""
    name, session = f"c-{customer}", f"/api/session/c-{customer}"
    for kind, output in (("answer", ANSWER), ("ticket", TICKET)):
        message = {"customer_id": name, "message_id": f"{kind}-{turn}", "text": says(output)}
        await put(api, "/api/message", message, answered)
    await put(
        phones, "/standin/send", {"phone": phone_of(customer), "text": says(ANSWER), "profile_name": PROFILE}, answered
    )
    await put(api, f"{session}/messages", {"text": f"{STAFF} here", "agent_name": AGENT}, answered)
    await put(api, f"{session}/state", {"state": "human_handoff", "reason": f"{REASON}: they shout"}, answered)
    await put(api, f"{session}/state", {"state": "bot", "reason": f"{REASON}: all is well"}, answered)


def told(program: Program) -> dict[str, list[str]]:
    """Which file holds which marks: all logs, and whatever Temporal keeps."""
    files = [*program.folder.glob("logs/*"), *program.folder.glob("temporal*"), program.folder.with_suffix(".out")]
    held = {file.name: file.read_bytes() for file in files if file.name not in OUTSIDE}
    assert {"worker.log", "api.log", "postgres.log", "temporal.sqlite"} <= held.keys()
    assert b'"conversation_id"' in held["temporal.sqlite"] + held.get(
        "temporal.sqlite-wal", b""
    )  # payloads can be read
    return {name: found for name, said in held.items() if (found := [mark for mark in MARKS if mark.encode() in said])}


async def test_no_word_is_left_in_a_log_or_a_history(folder: Path) -> None:
    print(f"\nseed {SEED}")
    for program in running(folder, **SETTINGS):
        killer, turns, answered = Killer(program, Random(SEED), ["postgres"], (3.0, 6.0)), count(), list[str]()
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            httpx2.AsyncClient(base_url=program.addresses["api"], headers=headers, timeout=PATIENCE_SECONDS) as api,
            httpx2.AsyncClient(base_url=program.addresses["whatsapp"], timeout=PATIENCE_SECONDS) as phones,
            killing(killer, answered.__len__),
        ):
            while killer.killed.total() < KILLS:
                turn = next(turns)
                await asyncio.gather(*(one_life(api, phones, customer, turn, answered) for customer in CUSTOMERS))
        await asyncio.to_thread(program.until_back, "postgres")
        async with record(program) as connection:
            kept = await connection.fetchval("SELECT string_agg(row_to_json(m)::text, ' ') FROM messages m")
    print(f"killed {dict(killer.killed)} in {next(turns)} rounds")
    assert all(mark in kept for mark in (CUSTOMER, MODEL, STAFF, AGENT))
    assert told(program) == {}
