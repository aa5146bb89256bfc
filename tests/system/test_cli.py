"""The commands a person uses beside a running system: keys, assistants, the prompt pack."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.system.running import AGENT, Program, running


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    yield from running(tmp_path_factory.mktemp("cli") / "data")


def agent(program: Program, *words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_DIR": str(program.folder)}
    return subprocess.run([AGENT, *words], env=environment, capture_output=True, text=True, check=False)


def test_a_new_key_works(program: Program) -> None:
    key = agent(program, "key", "add", "shop").stdout.strip()

    headers = {"Authorization": f"Bearer {key}"}
    body = {"customer_id": "c-9", "text": "Hello", "message_id": "m-1"}
    answer = httpx2.post(f"{program.addresses['api']}/api/message", json=body, headers=headers, timeout=60)

    assert answer.status_code == 200, answer.text


def test_an_assistant_is_shown_edited_and_applied(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "bot.yaml"
    file.write_text(agent(program, "assistant", "show").stdout.replace("lenient: false", "lenient: true"))

    applied = agent(program, "assistant", "apply", file)

    assert "version 1 is in force" in applied.stdout, applied.stderr
    assert "lenient: true" in agent(program, "assistant", "show").stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("actions: {enabled: [launch_rocket]}", "/enabled/0: there is no such action"),
        ("colour: red", "/colour: Extra inputs are not permitted"),
        ("a: [", "bot.yaml"),
        ("actions: {custom: [{name: x, description: x, metadata_schema: {type: array}, handler: y}]}", "/custom/0/"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_line(program: Program, tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "bot.yaml"
    file.write_text(text)

    applied = agent(program, "assistant", "apply", file)

    assert applied.returncode == 2
    assert told in applied.stderr
    assert len(applied.stderr.strip().splitlines()) == 1


def test_the_prompt_pack_is_the_one_of_the_api(program: Program) -> None:
    printed = agent(program, "prompt-pack").stdout

    with program.http() as http:
        pack = http.get("/api/prompt-pack").json()
    assert pack["version"] in printed
    assert pack["text"] in printed
