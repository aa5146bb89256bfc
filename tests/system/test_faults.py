"""One program from READY on: what its user finds and says, then `kill -9` of every part and of the launcher, SIGTERM.

Each message is answered once, in order, on one thread; nothing is lost and nothing is left.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.support.waiting import LONGEST_SECONDS, START_SECONDS, until_blocking
from tests.system.running import KEY, PARTS, Program, alive, check_one_line, command, refused, running

SLOW = "[[sim: slow=3]]"
TICKET = '{"action": "create_ticket", "reason": "Asked", "metadata": {"subject": "Lamp", "description": "Broken"}}'


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


def kill(program: Program, part: str) -> None:
    """SIGKILL, and waits until another one is there, the program is ready and all of it runs."""
    victim = program.addresses["pids"][part]
    program.kill(part)
    until_blocking(f"another {part} than {victim}", lambda: program.addresses["pids"][part], lambda pid: pid != victim)
    program.until_back(part)
    assert alive(program.addresses["pids"]) == list(program.addresses["pids"])


def test_what_is_ready_can_be_reached(program: Program) -> None:
    addresses = program.addresses

    assert is_answered(f"{addresses['api']}/readyz")
    assert is_answered(addresses["docs"])
    assert is_answered(addresses["temporal_ui"])
    assert is_answered(f"{addresses['perplexity']}/health")
    assert is_answered(addresses["phone"])
    assert alive(addresses["pids"]) == list(addresses["pids"])
    assert set(addresses["pids"]) == set(PARTS)


def is_answered(url: str) -> bool:
    return httpx2.get(url, timeout=5).status_code == 200


def test_secrets_are_for_their_owner_only(program: Program) -> None:
    for name in ("addresses.json", "secrets.json"):
        assert (program.folder / name).stat().st_mode & 0o077 == 0


def test_the_key_that_the_user_set_is_not_shown(program: Program) -> None:
    shown = program.folder.with_suffix(".out").read_text()

    assert "READY" in shown
    assert KEY not in shown
    assert KEY not in (program.folder / "addresses.json").read_text()


def test_a_second_launcher_is_refused(program: Program) -> None:
    check_one_line(refused(program.folder), "DATA_DIR", str(program.folder), "in use")


def test_a_key_is_in_force_and_over_within_5_seconds(program: Program) -> None:
    key = command(program, "key", "add", "shop", "--scope", "message,session").stdout.strip()

    def status() -> int:
        body = {"customer_id": "c-9", "text": "Hello", "message_id": "m-1"}
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{program.addresses['api']}/api/message"
        return httpx2.post(url, json=body, headers=headers, timeout=LONGEST_SECONDS).status_code

    until_blocking("an answer to the new key", status, lambda seen: seen == 200)
    assert "shop  message,session" in command(program, "key", "list").stdout
    assert command(program, "key", "revoke", "shop").stdout == "key shop is revoked\n"
    until_blocking("a refusal of the key", status, lambda seen: seen == 401, seconds=6)


def test_a_wrong_configuration_is_refused_in_one_line(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "bot.yaml"
    file.write_text("colour: red")

    check_one_line(command(program, "assistant", "apply", file), "/colour: Extra inputs are not permitted", code=2)


def test_a_wrong_user_is_refused_in_one_line(program: Program) -> None:
    done = command(program, "user", "add", "a@example.org", "--role", "viewer", answer="short")

    assert (done.returncode, done.stderr) == (2, "agent: the password must have 10 to 1,000 characters\n")


def test_the_prompt_pack_is_the_one_of_the_api(program: Program) -> None:
    printed = command(program, "prompt-pack").stdout

    with program.http() as http:
        pack = http.get("/api/prompt-pack").json()
    assert pack["version"] in printed
    assert pack["text"] in printed


def test_a_conversation_begins_anew_and_is_erased(program: Program, customer: str) -> None:
    program.insist("Hello", "m-1", customer)

    anew = command(program, "conversation", "reset", customer, "--new-thread")
    kept = command(program, "conversation", "erase", customer, answer="n\n")
    erased = command(program, "conversation", "erase", customer, "--yes")

    assert anew.stdout == f"{customer} on http: bot, going on in a new thread\n", anew.stderr
    assert kept.returncode == 1
    assert erased.stdout.startswith(f"erased {customer} on http: 2 messages"), erased.stderr


@pytest.mark.parametrize("part", ["worker", "api", "temporal", "postgres"])
def test_a_part_killed_in_the_middle_of_an_answer(program: Program, customer: str, part: str) -> None:
    program.insist("Hello", "m-0", customer)
    waiting = in_background(program, f"Slow {customer} {SLOW}", "m-1", customer)
    until_asked(program, f"Slow {customer}")

    kill(program, part)
    answered = waiting.result(LONGEST_SECONDS)
    asked = [question for question in program.questions() if f"Slow {customer}" in question["text"]]
    program.insist("And now?", "m-2", customer)

    assert answered == program.insist(f"Slow {customer} {SLOW}", "m-1", customer)
    check_answered_once_in_order(program, customer, 3)
    assert len(asked) == 1 or part != "api"


@pytest.mark.parametrize("part", ["simulator", "standin"])
def test_a_killed_stand_in_for_a_service_comes_back(program: Program, part: str) -> None:
    kill(program, part)


def test_tickets_are_opened_once_while_the_worker_is_killed(program: Program) -> None:
    faults = program.faults
    says = f"[[sim: reply=base64:{base64.b64encode(TICKET.encode()).decode()}]]"
    customers = [f"customer-{number}" for number in range(6)]
    with ThreadPoolExecutor(len(customers)) as clients:
        waiting = [clients.submit(program.insist, says, "m-0", customer) for customer in customers]
        for _ in range(2):
            program.kill("worker")
            program.until_back("worker")
        turns = [each.result(LONGEST_SECONDS) for each in waiting]

    numbers = [turn["ticket_id"] for turn in turns]
    assert program.faults == faults + 2
    assert len(set(numbers)) == len(customers)
    with program.http() as http:
        tickets = [http.get(f"/api/session/{customer}").json()["tickets"] for customer in customers]
    assert tickets == [[number] for number in numbers]


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


def test_a_killed_launcher_leaves_nothing_and_loses_nothing(program: Program, customer: str) -> None:
    first = program.insist("Hello", "killed", customer)
    pids = program.addresses["pids"]
    launcher = psutil.Process(pids["api"]).parent()
    assert launcher

    launcher.kill()
    until_blocking("the end of every part", lambda: alive(pids), lambda left: not left)
    program.stop()  # nothing to stop, only its exit code to take

    program.start()
    assert program.insist("Hello", "killed", customer) == first


def test_sigterm_in_the_middle_of_an_answer_leaves_nothing_and_loses_nothing(program: Program, customer: str) -> None:
    first = program.insist("Hello", "m-0", customer)
    pids = program.addresses["pids"]
    text = f"Late {customer} [[sim: slow=20 times=1]]"
    waiting = in_background(program, text, "m-1", customer, START_SECONDS)
    until_asked(program, f"Late {customer}")

    program.stop()
    assert alive(pids) == []
    assert not (program.folder / "addresses.json").exists()

    program.start()
    waiting.result(LONGEST_SECONDS)
    assert program.insist("Hello", "m-0", customer) == first
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
