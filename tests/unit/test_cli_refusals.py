"""What a command refuses before it looks for anything: one line, exit code 2.

Said in this process; `tests/system/test_faults.py` has one of each kind in a process of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

NOWHERE = "postgresql://user@127.0.0.1:1/nobody-listens"


@pytest.fixture(autouse=True)
def nothing_of_ours_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # away from any `.env`
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", NOWHERE)


def refusal(*words: str, answer: str = "") -> str:
    """The one line."""
    done = CliRunner().invoke(app, words, input=answer)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("actions: {enabled: [launch_rocket]}", "/enabled/0: there is no such action"),
        ("colour: red", "/colour: Extra inputs are not permitted"),
        ("a: [", "bot.yaml"),
        ("actions: {custom: [{name: x, description: x, metadata_schema: {type: array}, handler: y}]}", "/custom/0/"),
    ],
)
def test_a_wrong_configuration(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "bot.yaml").write_text(text)

    assert told in refusal("assistant", "apply", "bot.yaml")


@pytest.mark.parametrize(
    ("email", "password", "told"),
    [
        ("ann", "a long password", "'ann' is no e-mail address"),
        ("a@example.org", "short", "the password must have 10 to 1,000 characters"),
        ("a@example.org", "x" * 1_001, "the password must have 10 to 1,000 characters"),
        ("a@example.org", "long\x00password", "the password must not hold a NUL character"),
        ("a@example.org", "two\nlines of it", "the password on standard input must be one line"),
        ("a@example.org", "", "the password must have 10 to 1,000 characters"),
    ],
)
def test_a_wrong_user(email: str, password: str, told: str) -> None:
    assert refusal("user", "add", email, "--role", "viewer", answer=password) == f"agent: {told}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "nobody", "--channel", "No Channel"), "--channel: got 'No Channel'"),
        (("erase", " ", "--yes"), "CUSTOMER_ID: got ' '"),
    ],
)
def test_a_customer_that_cannot_be(words: tuple[str, ...], told: str) -> None:
    assert told in refusal("conversation", *words)
