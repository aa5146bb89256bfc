"""`agent assistant apply --check` finds what `apply` refuses, also where the database says so."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from schemas.assistants import Accounts, AssistantConfig
from tests.commands import agent, agent_here
from tests.system_in_process import System

pytestmark = pytest.mark.processes

NOWHERE = "postgresql://user@127.0.0.1:1/nobody-listens"


def apply(folder: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return agent_here(folder, "assistant", "apply", "bot.yaml", *options, **settings)


async def test_an_account_of_another_assistant(system: System, tmp_path: Path) -> None:
    taken = AssistantConfig(accounts=Accounts(whatsapp=("555001",)))
    await system.services.configurations.apply("one", taken, "test")
    (tmp_path / "bot.yaml").write_text('accounts: {whatsapp: ["555001"]}')
    known = {"DATABASE_URL": system.settings.database_url or ""}

    checked = await asyncio.to_thread(apply, tmp_path, "-a", "two", "--check", **known)
    applied = agent(tmp_path, "assistant", "apply", "bot.yaml", "-a", "two", **known)
    own = await asyncio.to_thread(apply, tmp_path, "-a", "one", "--check", **known)

    told = "agent: bot.yaml: whatsapp account 555001 belongs to assistant one\n"
    assert (checked.returncode, checked.stderr) == (applied.returncode, applied.stderr) == (2, told)
    assert (own.returncode, own.stdout) == (0, "bot.yaml: nothing is wrong\n")


def test_without_a_database_it_says_what_it_did_not_look_up(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text('accounts: {whatsapp: ["555001"]}')

    checked = apply(tmp_path, "--check", DATABASE_URL="")

    assert checked.returncode == 0
    assert "no database is known to look up whether another assistant has its accounts" in checked.stdout


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_no_name_of_an_assistant(tmp_path: Path, option: list[str]) -> None:
    (tmp_path / "bot.yaml").write_text("")

    done = apply(tmp_path, "-a", "Bad Name", *option, DATABASE_URL=NOWHERE)

    assert done.returncode == 2
    assert done.stderr.startswith("agent: --assistant: 'Bad Name' is no name of an assistant: ")


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_a_secret_that_is_not_there_is_refused_and_not_shown(tmp_path: Path, option: list[str]) -> None:
    (tmp_path / "bot.yaml").write_text(
        "actions: {endpoints: [{name: x, description: d, url: 'https://x.example/', headers: {A: mark, B: known2024}}]}"
    )

    done = apply(tmp_path, *option, ENDPOINT_SECRETS='{"known2024": "Bearer abc"}', DATABASE_URL=NOWHERE)

    told = "/endpoints/0/headers/A: ENDPOINT_SECRETS has no secret of that name"
    assert (done.returncode, done.stderr) == (2, f"agent: bot.yaml: {told}\n")


@pytest.mark.parametrize(("private", "refused"), [("[]", True), ('["Billing:80"]', False)])
def test_a_secret_is_not_sent_over_plain_http_but_in_ones_own_network(
    tmp_path: Path, private: str, refused: bool
) -> None:
    (tmp_path / "bot.yaml").write_text(
        "actions: {endpoints: [{name: x, description: d, url: 'http://billing/pay', headers: {A: known}}]}"
    )

    done = apply(tmp_path, "--check", ENDPOINT_SECRETS='{"known": "Bearer abc"}', ENDPOINT_PRIVATE_HOSTS=private)

    assert ("/endpoints/0/url: its headers hold secrets: use https" in done.stderr, done.returncode) == (
        (True, 2) if refused else (False, 0)
    )


def test_a_text_that_shows_nothing_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "bot.yaml").write_text('texts: {refused: "\\u200b"}\naccount_name: " "\n')

    checked = apply(tmp_path, "--check", DATABASE_URL="")

    told = "/account_name: nothing of it can be seen; /texts/refused: nothing of it can be seen"
    assert (checked.returncode, checked.stderr) == (2, f"agent: bot.yaml: {told}\n")


@pytest.mark.parametrize("option", [[], ["--check"]])
@pytest.mark.parametrize("body", ["", "# nothing", "0", "false", "~", "[]", "words"])
def test_a_file_without_fields_is_nothing_to_apply(tmp_path: Path, body: str, option: list[str]) -> None:
    (tmp_path / "bot.yaml").write_text(body)

    done = apply(tmp_path, *option, DATABASE_URL=NOWHERE)

    assert done.returncode == 2
    assert done.stderr.startswith("agent: bot.yaml: nothing to apply: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_what_cannot_be_kept_is_told_without_a_database(tmp_path: Path, option: list[str]) -> None:
    (tmp_path / "bot.yaml").write_text(
        'texts: {trouble: "a\\0b"}\nactions: {confirmations: {create_ticket: staff, create_ticket: none}}\n'
    )

    done = apply(tmp_path, *option, DATABASE_URL=NOWHERE)

    told = (
        "/texts/trouble: must not hold a NUL character (line 1); "
        "/actions/confirmations/create_ticket: is there twice (line 2)"
    )
    assert (done.returncode, done.stderr) == (2, f"agent: bot.yaml: {told}\n")


@pytest.mark.parametrize("words", [["assistant", "show"], ["prompt-pack"], ["prompt-pack", "--pasted"]])
async def test_an_assistant_that_is_not_there(system: System, tmp_path: Path, words: list[str]) -> None:
    known = {"DATABASE_URL": system.settings.database_url or ""}

    absent = await asyncio.to_thread(agent_here, tmp_path, *words, "-a", "nosuch", **known)
    no_name = await asyncio.to_thread(agent_here, tmp_path, *words, "-a", "No Name", **known)

    assert (absent.returncode, no_name.returncode) == (2, 2)
    assert absent.stderr == "agent: --assistant: there is no assistant 'nosuch'; there are: default\n"
    assert no_name.stderr.startswith("agent: --assistant: 'No Name' is no name of an assistant: ")
    assert (absent.stdout, no_name.stdout) == ("", "")


async def test_a_pack_is_pasted_into_a_space(system: System, tmp_path: Path) -> None:
    known = {"DATABASE_URL": system.settings.database_url or ""}

    without = await asyncio.to_thread(agent_here, tmp_path, "prompt-pack", "--pasted", **known)
    into = await asyncio.to_thread(
        agent_here, tmp_path, "prompt-pack", "--pasted", DEFAULT_COLLECTION_UUID="51a0", **known
    )

    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.startswith("agent: --pasted: assistant default has no Space (")
    assert (into.returncode, "noted as pasted" in into.stdout) == (0, True), into.stderr
    [noted] = await system.database.rows("SELECT collection_uuid FROM pasted_packs")
    assert noted["collection_uuid"] == "51a0"


@pytest.mark.parametrize("note", [b"caf\xe9", "x" * 2_001, "\u3164", ""])
def test_a_note_is_checked_before_anything_is_looked_up(tmp_path: Path, note: str | bytes) -> None:
    words = ("effect", "resolve", "5c1f3f0e-0000-4000-8000-000000000001", "--outcome", "confirmed", "--note")

    if isinstance(note, bytes):
        refused = agent(tmp_path, *words, note, DATABASE_URL=NOWHERE)
    else:
        refused = agent_here(tmp_path, *words, note, DATABASE_URL=NOWHERE)

    assert refused.returncode == 2
    assert refused.stderr.startswith("agent: --note: ")
    assert refused.stderr.count("\n") == 1
