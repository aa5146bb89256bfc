"""What a command refuses before it looks for anything: one line, exit code 2.

Said in this process; `tests/system/test_faults.py` has one of each kind in a process of its own.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.ports import free_port

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
        ("a@example.org", "long\x00password", "the password must have no NUL character"),
        ("a@example.org", "two\nlines of it", "the password on standard input must be one line"),
        ("a@example.org", "", "the password must have 10 to 1,000 characters"),
    ],
)
def test_a_wrong_user(email: str, password: str, told: str) -> None:
    assert refusal("user", "add", email, "--role", "viewer", answer=password) == f"agent: {told}"


NO_UTF8 = "caf\udce9"
"""As Python reads a byte of an argument that is no UTF-8."""
A_NAME = "give a name of 1 to 200 characters in UTF-8, on one line, of which something can be seen"
A_PORT = "give a port from 1 to 65,535"
USER = ("user", "add", "a@example.org", "--role", "viewer", "--name")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("standin", "--port", "70000"), f"--port: got 70000; {A_PORT}"),
        (("simulator", "--port", "70000"), f"--port: got 70000; {A_PORT}"),
        (("simulator", "--port", "0"), f"--port: got 0; {A_PORT}"),
        (("standin", "--port", "-1"), f"--port: got -1; {A_PORT}"),
        (("standin", "--webhook-url", "nowhere"), "--webhook-url: got 'nowhere'; give an http:// or https:// address"),
        (("key", "add", NO_UTF8), f"NAME: got 'caf\\udce9'; {A_NAME}"),
        (("key", "add", ""), f"NAME: got ''; {A_NAME}"),
        (("key", "add", "\u3164"), f"NAME: got '\u3164'; {A_NAME}"),
        (("key", "add", "two\nlines"), f"NAME: got 'two\\nlines'; {A_NAME}"),
        (("key", "add", "x" * 100_000), f"…; {A_NAME}"),
        (
            ("key", "add", "shop", "--scope", "message,root"),
            "--scope: got 'message,root'; give some of message, session",
        ),
        (("key", "add", "first key", "--scope", "message"), "NAME: 'first key' is API_KEY's; choose another"),
        (("key", "revoke", ""), f"NAME: got ''; {A_NAME}"),
        ((*USER, NO_UTF8), f"--name: got 'caf\\udce9'; {A_NAME}"),
        ((*USER, "x" * 201), f"…; {A_NAME}"),
        ((*USER[:-1], "--team", ""), f"--team: got ''; {A_NAME}"),
        ((*USER[:-1], "--slack", "ann"), "--slack: got 'ann'; give their id in Slack, like U0ANN"),
        ((*USER[:-1], "--whatsapp", "+1555"), "--whatsapp: got '+1555'; give a number's digits, like 15550001111"),
        ((*USER[:-1], "--language", "english"), "--language: got 'english'; give a language, like en"),
        ((*USER[:-1], "--hours", "9 to 5"), "--hours: got '9 to 5'; give days and times, like 'mon-fri 09:00-18:00'"),
        (("ticket", "resolve", NO_UTF8), f"TICKET_ID: got 'caf\\udce9'; {A_NAME}"),
        (("simulator", "--state-folder", NO_UTF8), "--state-folder: got 'caf\\udce9'; give a path in UTF-8"),
        (("simulator", "--state-folder", "/etc/passwd"), "--state-folder: /etc/passwd cannot be written to (it is no"),
        (("simulator", "--state-folder", "/etc/passwd/x"), "--state-folder: /etc/passwd/x cannot be written to ("),
        (("backup", NO_UTF8), "FILE: got 'caf\\udce9'; give a path in UTF-8"),
        (("restore", "a\nb"), "FILE: got 'a\\nb'; give a path in UTF-8"),
        (("assistant", "apply", NO_UTF8), "FILE: got 'caf\\udce9'; give a path in UTF-8"),
        (("conversation", "export", "c-1", "-o", NO_UTF8), "--output: got 'caf\\udce9'; give a path in UTF-8"),
    ],
)
def test_a_port_a_name_or_a_path_that_cannot_be(words: tuple[str, ...], told: str) -> None:
    port = () if "--port" in words or words[0] != "simulator" else ("--port", str(free_port()))

    line = refusal(*words, *port, answer="a long password")

    assert told in line
    assert len(line) < 400


@pytest.mark.parametrize("name", [NO_UTF8, "x" * 201, "a\x1b[2J"])
@pytest.mark.parametrize(
    "words",
    [
        ("conversation", "reset", "c-1"),
        ("conversation", "erase", "c-1", "--yes"),
        ("ticket", "resolve", "T-1"),
        ("effect", "resolve", "5c1f3f0e-0000-4000-8000-000000000001", "--outcome", "confirmed", "--note", "seen"),
        ("user", "add", "a@example.org", "--role", "viewer"),
    ],
)
def test_a_user_whose_name_cannot_be(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], name: str) -> None:
    monkeypatch.setenv("LOGNAME", name)

    line = refusal(*words, answer="a long password")

    assert line.startswith("agent: LOGNAME: got ")
    assert line.endswith(A_NAME)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        line = refusal("simulator", "--port", str(port))

    assert line == f"agent: --port: port {port} is taken on 127.0.0.1; stop what uses it, or set --port to another"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "nobody", "--channel", "No Channel"), "--channel: got 'No Channel'"),
        (("erase", " ", "--yes"), "CUSTOMER_ID: got ' '"),
    ],
)
def test_a_customer_that_cannot_be(words: tuple[str, ...], told: str) -> None:
    assert told in refusal("conversation", *words)
