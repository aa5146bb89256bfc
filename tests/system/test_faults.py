"""`kill -9` of every part in the middle of an answer: each message is answered once, in order, on one thread."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.waiting import LONGEST_SECONDS, START_SECONDS, until_blocking
from tests.system.running import Program, running

SLOW = "[[sim: slow=3]]"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    yield from running(tmp_path_factory.mktemp("faults") / "data")


@pytest.fixture
def customer(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def in_background(
    program: Program, text: str, message_id: str, customer: str, seconds: float = LONGEST_SECONDS
) -> Future[dict[str, Any]]:
    """A client that repeats its message until it is answered, for so long."""
    return ThreadPoolExecutor(1).submit(program.insist, text, message_id, customer, seconds)


def until_asked(program: Program, text: str) -> None:
    until_blocking(
        f"a question with {text!r}",
        lambda: [question["text"] for question in program.questions()],
        lambda asked: any(text in each for each in asked),
    )


def check_answered_once_in_order(program: Program, customer: str, texts: int) -> None:
    turns = program.turns(customer)
    assert [turn["message_id"] for turn in turns] == [f"m-{number}" for number in range(texts)]
    assert all(turn["reply"]["text"] and turn["verdict"] == "text" for turn in turns)
    assert len({turn["thread"]["frontend_context_uuid"] for turn in turns}) == 1


@pytest.mark.parametrize("part", ["worker", "api", "temporal", "postgres"])
def test_a_part_killed_in_the_middle_of_an_answer(program: Program, customer: str, part: str) -> None:
    faults = program.faults
    program.insist("Hello", "m-0", customer)
    waiting = in_background(program, f"Slow {customer} {SLOW}", "m-1", customer)
    until_asked(program, f"Slow {customer}")

    program.kill(part)
    program.until_back(part)
    answered = waiting.result(LONGEST_SECONDS)
    program.insist("And now?", "m-2", customer)

    assert program.faults == faults + 1
    assert answered == program.insist(f"Slow {customer} {SLOW}", "m-1", customer)
    check_answered_once_in_order(program, customer, 3)


@pytest.mark.chaos
def test_a_streamed_answer_goes_on_when_the_worker_is_killed(program: Program, customer: str) -> None:
    events: list[tuple[str, Any]] = []
    reading = threading.Thread(target=lambda: events.extend(stream(program, f"Stream {SLOW}", "m-0", customer)))
    reading.start()
    until_asked(program, "Stream")

    program.kill("worker")
    reading.join(LONGEST_SECONDS)

    kinds = [kind for kind, _ in events]
    assert kinds[-1] == "done"
    assert "reset" in kinds
    assert len(program.turns(customer)) == 1


def test_the_api_killed_under_a_client_asks_the_model_once(program: Program, customer: str) -> None:
    waiting = in_background(program, f"Once {customer} {SLOW}", "m-0", customer)
    until_asked(program, f"Once {customer}")

    program.kill("api")
    program.until_back("api")
    waiting.result(LONGEST_SECONDS)

    assert len([question for question in program.questions() if f"Once {customer}" in question["text"]]) == 1


def test_sigterm_in_the_middle_of_an_answer_loses_nothing(program: Program, customer: str) -> None:
    program.insist("Hello", "m-0", customer)
    text = f"Late {customer} [[sim: slow=20 times=1]]"
    waiting = in_background(program, text, "m-1", customer, START_SECONDS)
    until_asked(program, f"Late {customer}")

    program.stop()
    program.start()
    waiting.result(LONGEST_SECONDS)
    program.insist("And now?", "m-2", customer)

    check_answered_once_in_order(program, customer, 3)


def stream(program: Program, text: str, message_id: str, customer: str) -> list[tuple[str, Any]]:
    events: list[tuple[str, Any]] = []
    body = {"customer_id": customer, "text": text, "message_id": message_id}
    with program.http() as http, http.stream("POST", "/api/query_async", json=body) as response:
        kind = ""
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                events.append((kind, json.loads(value)))
    return events
