"""What the commands of a person beside a running system do: assistants, conversations, tickets and users.

Said in this process; `tests/system/test_faults.py` has one of each kind in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from schemas.deliveries import Leftover
from storage.api_keys import ApiKeys, KnownKeys
from storage.delivery_reports import DeliveryReports
from storage.user_sessions import UserSessions
from storage.users import Users
from tests.commands import agent_here
from tests.integration.test_actions import TICKET, output
from tests.support import clock
from tests.system_in_process import System, running_system

Said = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture
async def system(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """On the machine's clock, as the commands are."""
    async with running_system(postgres_url, temporal_address, now=clock.of_commands) as system:
        yield system


@pytest.fixture
def said(system: System, tmp_path: Path) -> Said:
    """Says a command to the running system."""
    settings = system.settings
    known = {
        "DATABASE_URL": settings.database_url or "",
        "TEMPORAL_ADDRESS": settings.temporal_address or "",
        "TEMPORAL_TASK_QUEUE": settings.temporal_task_queue,
    }
    return lambda *words, **more: asyncio.to_thread(agent_here, tmp_path, *words, **known | more)


async def test_an_assistant_is_shown_edited_and_applied(said: Said, tmp_path: Path) -> None:
    shown = (await said("assistant", "show")).stdout
    (tmp_path / "bot.yaml").write_text(shown.replace("lenient: false", "lenient: true"))

    applied = await said("assistant", "apply", "bot.yaml")

    assert "version 1 is in force" in applied.stdout, applied.stderr
    assert "lenient: true" in (await said("assistant", "show")).stdout


async def test_a_conversation_is_shown(system: System, said: Said) -> None:
    await system.send("Hello \x1b[31mred", message_id="m-1")

    shown = await said("conversation", "show", "c-1")
    told = json.loads((await said("conversation", "show", "c-1", "--json")).stdout)

    assert shown.stdout.startswith("c-1 on http: bot, 1 turn\n"), shown.stderr
    assert told["threads"][0]["frontend_context_uuid"] in shown.stdout
    assert "customer: Hello [31mred" in shown.stdout
    assert [turn["message_id"] for turn in told["last_turns"]] == ["m-1"]


async def test_a_conversation_begins_anew(system: System, said: Said) -> None:
    first = (await system.send("Hello")).json()["thread"]
    await said("conversation", "reset", "c-1")
    same = (await system.send("Hello")).json()["thread"]

    done = await said("conversation", "reset", "c-1", "--new-thread")

    assert done.stdout == "c-1 on http: bot, going on in a new thread\n", done.stderr
    new = (await system.send("Hello")).json()["thread"]
    assert same["frontend_context_uuid"] == first["frontend_context_uuid"] != new["frontend_context_uuid"]
    threads = json.loads((await said("conversation", "show", "c-1", "--json")).stdout)["threads"]
    assert [thread["ended_because"] for thread in threads] == [None, "reset"]


async def test_nothing_begins_anew_while_temporal_is_away(system: System, said: Said) -> None:
    await system.send("Hello")

    done = await said("conversation", "reset", "c-1", TEMPORAL_ADDRESS="127.0.0.1:1")

    told = "agent: Temporal cannot be reached: nothing answers at 127.0.0.1:1\n"
    assert (done.returncode, done.stderr) == (2, told)


async def test_a_ticket_is_resolved_once(system: System, said: Said) -> None:
    system.perplexity.scripts.append(output("create_ticket", **TICKET))
    opened = (await system.send("My lamp broke")).json()

    resolved = await said("ticket", "resolve", opened["ticket_id"])
    again = await said("ticket", "resolve", opened["ticket_id"])

    assert resolved.stdout == f"{opened['ticket_id']} is resolved\n", resolved.stderr
    assert (again.returncode, again.stderr) == (2, f"agent: {opened['ticket_id']}: there is no such open ticket\n")
    shown = json.loads((await said("conversation", "show", "c-1", "--json")).stdout)["session"]
    assert (opened["state"], shown["state"]) == ("ticket_open", "bot")


async def test_everything_kept_is_exported_into_a_file_of_ones_own(system: System, said: Said, tmp_path: Path) -> None:
    await system.send("Grüße")
    file = tmp_path / "c.json"

    done = await said("conversation", "export", "c-1", "--output", str(file))

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    document = json.loads(file.read_text())
    assert document["messages"][0]["text"] == "Grüße"
    assert file.stat().st_mode & 0o777 == 0o600
    printed = json.loads((await said("conversation", "export", "c-1")).stdout)
    assert printed["messages"] == document["messages"]


async def test_a_customer_is_erased_once(system: System, said: Said) -> None:
    turn = (await system.send("Hello", message_id="m-1")).json()
    refused = await said("conversation", "erase", "c-1", answer="n\n")

    done = await said("conversation", "erase", "c-1", "--yes")
    again = await said("conversation", "erase", "c-1", "--yes")

    assert refused.returncode == 1
    assert done.stdout.startswith("erased c-1 on http: 2 messages"), done.stderr
    assert (again.returncode, "already erased" in again.stdout) == (0, True)
    exported = await said("conversation", "export", "c-1")
    assert exported.stderr == "agent: c-1 has no conversation on http\n"
    assert (await system.send("Hello", message_id="m-1")).json()["conversation_id"] != turn["conversation_id"]


async def test_who_waits_for_an_answer_is_erased_by_force_only(system: System, said: Said) -> None:
    system.perplexity.gate.clear()
    asking = asyncio.create_task(system.send("Hello"))
    await system.until_asked(1)

    refused = await said("conversation", "erase", "c-1", "--yes")
    forced = await said("conversation", "erase", "c-1", "--yes", "--force")
    system.perplexity.gate.set()

    told = "agent: c-1 on http: messages unanswered: 1, actions under way: 0; wait"
    assert (refused.returncode, refused.stderr[: len(told)]) == (2, told)
    assert forced.returncode == 0, forced.stderr
    assert (await asking).json()["reply"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "nobody"), "nobody has no conversation on http"),
        (("reset", "nobody", "--channel", "sms"), "nobody has no conversation on sms"),
    ],
)
async def test_what_cannot_be_found_is_told_in_one_line(said: Said, words: tuple[str, ...], told: str) -> None:
    done = await said("conversation", *words)

    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def test_leftovers_are_listed_without_words_and_shown_with_them(system: System, said: Said) -> None:
    assert (await said("leftover", "list")).stdout == "no leftovers\n"
    raw = {"text": {"body": "Zanzibar \x1b[31m"}}
    leftover = Leftover(account="106540352242922", why="a message without its sender", raw=raw)
    await DeliveryReports(system.database).keep_leftovers("whatsapp", [leftover])

    listed = (await said("leftover", "list")).stdout
    shown = (await said("leftover", "show", listed.split()[0])).stdout
    absent = await said("leftover", "show", str(UUID(int=7)))

    assert "whatsapp  106540352242922" in listed
    assert listed.endswith("a message without its sender\n")
    assert "Zanzibar" not in listed
    assert json.loads(shown) == raw
    assert "\x1b" not in shown
    assert (absent.returncode, absent.stdout) == (2, "")
    assert "there is no such leftover" in absent.stderr


async def test_a_user_is_added_once(said: Said) -> None:
    add = ("user", "add", "Ann@Example.org", "--role", "agent", "--name", "Ann")

    done = await said(*add, answer="a long password\n")
    again = await said(*add, answer="another password\n")

    assert done.stdout == "user ann@example.org is added, as agent\n", done.stderr
    assert (again.returncode, again.stderr) == (2, "agent: there is a user ann@example.org already\n")


async def test_a_user_is_set_listed_disabled_and_let_in_again(system: System, said: Said) -> None:
    person = ("--team", "support", "--team", "sales", "--slack", "U0ANN", "--whatsapp", "15550001111")
    when = ("--language", "en", "--hours", "mon-fri 09:00-18:00")
    ann = "ann@example.org"
    await said("user", "add", ann, "--role", "viewer", "--name", "Ann", *person, *when, answer="a long password\n")
    listed = [(await said("user", "list")).stdout]

    for words in (("set", ann, "--role", "agent", "--away"), ("set", ann, "--here", "--no-teams"), ("disable", ann)):
        assert (await said("user", *words)).returncode == 0
        listed.append((await said("user", "list")).stdout)
    back = await said("user", "set", ann, "--enabled", "--team", "support")

    assert listed == [
        "ann@example.org  viewer  sales,support  Ann\n",
        "ann@example.org  agent  sales,support  Ann  away\n",
        "ann@example.org  agent  Ann\n",
        "ann@example.org  agent  Ann  disabled\n",
    ]
    assert back.stdout == "user ann@example.org is changed\n"
    [row] = await system.database.rows("SELECT slack, whatsapp, language, hours, teams FROM users")
    assert [*row.values()] == ["U0ANN", "15550001111", "en", "mon-fri 09:00-18:00", ["support"]]


async def test_a_new_password_and_a_disabled_account_end_sessions(system: System, said: Said) -> None:
    await said("user", "add", "ann@example.org", "--role", "viewer", answer="a long password\n")
    users = Users(system.database)
    old = await users.with_password("ann@example.org", "a long password")
    sessions = UserSessions(system.database)
    told = {"actor": "test", "lasts_seconds": 60.0, "address": "", "browser": ""}
    await sessions.begin(old, b"first", **told)  # type: ignore[arg-type]

    done = await said("user", "password", "ann@example.org", answer="another password\n")

    assert done.stdout == "user ann@example.org has a new password\n", done.stderr
    assert await sessions.find(b"first") is None
    assert await users.with_password("ann@example.org", "a long password") is None
    assert await users.with_password("ann@example.org", "another password") == old
    await sessions.begin(old, b"second", **told)  # type: ignore[arg-type]
    await said("user", "disable", "ann@example.org")
    assert await sessions.find(b"second") is None
    assert await users.with_password("ann@example.org", "another password") is None


@pytest.mark.parametrize("words", [("set", "--away"), ("disable",), ("password",)])
async def test_nobody_is_changed(said: Said, words: tuple[str, ...]) -> None:
    done = await said("user", words[0], "nobody@example.org", *words[1:], answer="a long password\n")

    assert (done.returncode, done.stderr) == (2, "agent: there is no user nobody@example.org\n")


async def test_a_key_is_added_listed_and_revoked(system: System, said: Said) -> None:
    made = await said("key", "add", "shop", "--scope", "session", "--scope", "message,vouch", "--days", "30")
    again = await said("key", "add", "shop", "--scope", "admin")
    listed = (await said("key", "list")).stdout
    found = await KnownKeys(ApiKeys(system.database), 0.0, clock.of_commands).find(made.stdout.strip())

    revoked = await said("key", "revoke", "shop")
    nobodys = await said("key", "revoke", "shop")

    assert found is not None
    assert (found.name, sorted(found.scopes)) == ("shop", ["message", "session", "vouch"])
    assert re.search(r"  shop  message,session,vouch  added \S+  until \d{4}-\d\d-\d\d$", listed, re.M)
    assert made.stdout.strip() not in listed
    assert again.stderr == "agent: there is a key 'shop' already: revoke it first, or choose another name\n"
    assert (revoked.stdout, nobodys.returncode) == ("key shop is revoked\n", 2)
    assert re.search(r"  shop  .*  revoked ", (await said("key", "list")).stdout)
