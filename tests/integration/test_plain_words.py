"""Stored words on an operator's terminal: on their line, and without signs that would steer it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from schemas.access import Scope
from storage.api_keys import ApiKeys
from tests.commands import agent_here
from tests.support.shop import output
from tests.system_in_process import System

STEERING = "asked the shop\nagent: c-1 is erased\x1b]0;owned\x07\x9b2J"
PLAIN = "asked the shop agent: c-1 is erased ]0;owned 2J"


async def agent(system: System, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    known = {"DATABASE_URL": system.settings.database_url or ""}
    return await asyncio.to_thread(agent_here, folder, *words, **known)


async def unknown_effect(system: System) -> UUID:
    system.perplexity.scripts.append(output("create_ticket", subject="Lamp", description="Broken lamp"))
    await system.send("My lamp broke")
    [effect] = await system.database.rows(
        "UPDATE effects SET status = 'unknown', settled_at = NULL WHERE kind <> 'part' RETURNING id"
    )
    return UUID(str(effect["id"]))


async def test_a_note_of_somebody_else(system: System, tmp_path: Path) -> None:
    await ApiKeys(system.database).add(
        "shop\n\x1b[2J", "key-of-the-shop-0123456789", scopes=[Scope.ADMIN], actor="test"
    )
    effect = await unknown_effect(system)
    headers = {"Authorization": "Bearer key-of-the-shop-0123456789"}
    body = {"outcome": "failed", "note": STEERING}
    settled = await system.http.post(f"/api/effects/{effect}/resolve", json=body, headers=headers)

    refused = await agent(
        system, tmp_path, "effect", "resolve", str(effect), "--outcome", "confirmed", "--note", "looked"
    )
    listed = await agent(system, tmp_path, "effect", "list")

    assert settled.status_code == 200, settled.text
    told = f"agent: only an unknown effect is settled by hand; {effect} is failed, as api key shop [2J said: {PLAIN}\n"
    assert (refused.returncode, refused.stderr) == (2, told)
    [line] = listed.stdout.splitlines()
    assert line.endswith("  by api key shop [2J")


@pytest.mark.parametrize("words", [("show", "c-1", "--json"), ("export", "c-1"), ("show", "c-1")])
async def test_a_customers_words(system: System, tmp_path: Path, words: tuple[str, ...]) -> None:
    await system.send(STEERING)

    given = await agent(system, tmp_path, "conversation", *words)

    assert given.returncode == 0, given.stderr
    assert [sign for sign in given.stdout if not sign.isprintable() and sign != "\n"] == []
    assert STEERING in _texts(json.loads(given.stdout)) if words != ("show", "c-1") else PLAIN in given.stdout


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        return [text for each in (value.values() if isinstance(value, dict) else value) for text in _texts(each)]
    return [value] if isinstance(value, str) else []
