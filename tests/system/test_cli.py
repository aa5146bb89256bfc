"""The commands a person uses beside a running system: keys, users, assistants, the prompt pack, conversations."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.support.waiting import LONGEST_SECONDS, until_blocking
from tests.system.running import AGENT, Program, running


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    yield from running(tmp_path_factory.mktemp("cli") / "data")


def agent(program: Program, *words: str | Path, answer: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a command; *answer* is its standard input."""
    environment = {**os.environ, "DATA_DIR": str(program.folder), **settings}
    return subprocess.run(
        [AGENT, *words],
        input=answer,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def test_a_new_key_works(program: Program) -> None:
    key = agent(program, "key", "add", "shop").stdout.strip()

    headers = {"Authorization": f"Bearer {key}"}
    body = {"customer_id": "c-9", "text": "Hello", "message_id": "m-1"}
    answer = httpx2.post(f"{program.addresses['api']}/api/message", json=body, headers=headers, timeout=LONGEST_SECONDS)

    assert answer.status_code == 200, answer.text


def test_an_assistant_is_shown_edited_and_applied(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "bot.yaml"
    file.write_text(agent(program, "assistant", "show").stdout.replace("lenient: false", "lenient: true"))

    applied = agent(program, "assistant", "apply", file)

    assert "version 1 is in force" in applied.stdout, applied.stderr
    assert "lenient: true" in agent(program, "assistant", "show").stdout


def test_a_wrong_configuration_is_refused_in_one_line(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "bot.yaml"
    file.write_text("colour: red")

    applied = agent(program, "assistant", "apply", file)

    assert applied.returncode == 2
    assert "/colour: Extra inputs are not permitted" in applied.stderr
    assert len(applied.stderr.strip().splitlines()) == 1


def test_the_prompt_pack_is_the_one_of_the_api(program: Program) -> None:
    printed = agent(program, "prompt-pack").stdout

    with program.http() as http:
        pack = http.get("/api/prompt-pack").json()
    assert pack["version"] in printed
    assert pack["text"] in printed


def test_a_conversation_is_shown(program: Program) -> None:
    program.insist("Hello \x1b[31mred", "m-1", "c-show")

    shown = agent(program, "conversation", "show", "c-show")
    told = json.loads(agent(program, "conversation", "show", "c-show", "--json").stdout)

    assert shown.stdout.startswith("c-show on http: bot, 1 turn\n"), shown.stderr
    assert told["threads"][0]["frontend_context_uuid"] in shown.stdout
    assert "customer: Hello [31mred" in shown.stdout
    assert [turn["message_id"] for turn in told["last_turns"]] == ["m-1"]


def test_a_conversation_begins_anew(program: Program) -> None:
    first = program.insist("Hello", "m-1", "c-reset")["thread"]
    agent(program, "conversation", "reset", "c-reset")
    same = program.insist("Hello", "m-2", "c-reset")["thread"]

    done = agent(program, "conversation", "reset", "c-reset", "--new-thread")

    assert done.stdout == "c-reset on http: bot, going on in a new thread\n", done.stderr
    new = program.insist("Hello", "m-3", "c-reset")["thread"]
    assert same["frontend_context_uuid"] == first["frontend_context_uuid"] != new["frontend_context_uuid"]
    threads = json.loads(agent(program, "conversation", "show", "c-reset", "--json").stdout)["threads"]
    assert [thread["ended_because"] for thread in threads] == [None, "reset"]


def test_nothing_begins_anew_while_temporal_is_away(program: Program) -> None:
    program.insist("Hello", "m-1", "c-away")

    done = agent(program, "conversation", "reset", "c-away", TEMPORAL_ADDRESS="127.0.0.1:1")

    told = "agent: Temporal cannot be reached: nothing answers at 127.0.0.1:1\n"
    assert (done.returncode, done.stderr) == (2, told)


def test_a_ticket_is_resolved_once(program: Program) -> None:
    metadata = {"subject": "Lamp", "description": "Broken lamp"}
    asked = json.dumps({"action": "create_ticket", "reason": "It broke", "metadata": metadata})
    reply = base64.b64encode(asked.encode()).decode()
    opened = program.insist(f"My lamp broke [[sim: reply=base64:{reply}]]", "m-1", "c-ticket")

    resolved = agent(program, "ticket", "resolve", opened["ticket_id"])
    again = agent(program, "ticket", "resolve", opened["ticket_id"])

    assert resolved.stdout == f"{opened['ticket_id']} is resolved\n", resolved.stderr
    assert (again.returncode, again.stderr) == (2, f"agent: {opened['ticket_id']}: there is no such open ticket\n")
    shown = json.loads(agent(program, "conversation", "show", "c-ticket", "--json").stdout)["session"]
    assert (opened["state"], shown["state"]) == ("ticket_open", "bot")


def test_everything_kept_is_exported_into_a_file_of_ones_own(program: Program, tmp_path: Path) -> None:
    program.insist("Grüße", "m-1", "c-export")
    file = tmp_path / "c.json"

    done = agent(program, "conversation", "export", "c-export", "--output", file)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    document = json.loads(file.read_text())
    assert document["messages"][0]["text"] == "Grüße"
    assert file.stat().st_mode & 0o777 == 0o600
    printed = json.loads(agent(program, "conversation", "export", "c-export").stdout)
    assert printed["messages"] == document["messages"]


def test_a_customer_is_erased_once(program: Program) -> None:
    turn = program.insist("Hello", "m-1", "c-erase")
    refused = agent(program, "conversation", "erase", "c-erase", answer="n\n")

    done = agent(program, "conversation", "erase", "c-erase", "--yes")
    again = agent(program, "conversation", "erase", "c-erase", "--yes")

    assert refused.returncode == 1
    assert done.stdout.startswith("erased c-erase on http: 2 messages"), done.stderr
    assert (again.returncode, "already erased" in again.stdout) == (0, True)
    assert agent(program, "conversation", "export", "c-erase").stderr == "agent: c-erase has no conversation on http\n"
    assert program.insist("Hello", "m-1", "c-erase")["conversation_id"] != turn["conversation_id"]


def test_who_waits_for_an_answer_is_erased_by_force_only(program: Program) -> None:
    with ThreadPoolExecutor() as threads:
        asking = threads.submit(program.say, "Hello [[sim: slow=20]]", "m-1", "c-busy")
        until_blocking("the slow question", program.questions, lambda asked: "slow=20" in str(asked))

        refused = agent(program, "conversation", "erase", "c-busy", "--yes")
        forced = agent(program, "conversation", "erase", "c-busy", "--yes", "--force")

        told = "agent: c-busy on http: messages unanswered: 1, actions under way: 0; wait"
        assert (refused.returncode, refused.stderr[: len(told)]) == (2, told)
        assert forced.returncode == 0, forced.stderr
        assert asking.result(LONGEST_SECONDS).json()["reply"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "nobody"), "nobody has no conversation on http"),
        (("reset", "nobody", "--channel", "sms"), "nobody has no conversation on sms"),
    ],
)
def test_what_cannot_be_found_is_told_in_one_line(program: Program, words: tuple[str, ...], told: str) -> None:
    done = agent(program, "conversation", *words)

    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_user_is_added_once(program: Program) -> None:
    add = ("user", "add", "Ann@Example.org", "--role", "operator", "--name", "Ann")

    done = agent(program, *add, answer="a long password\n")
    again = agent(program, *add, answer="another password\n")

    assert done.stdout == "user ann@example.org is added, as operator\n", done.stderr
    assert (again.returncode, again.stderr) == (2, "agent: there is a user ann@example.org already\n")


def test_a_wrong_user_is_refused_in_one_line(program: Program) -> None:
    done = agent(program, "user", "add", "a@example.org", "--role", "viewer", answer="short")

    assert (done.returncode, done.stderr) == (2, "agent: the password must have 10 to 1,000 characters\n")
