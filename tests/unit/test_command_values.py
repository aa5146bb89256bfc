"""What a command says of a value that cannot be: our own sentence, without a library's words before it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.main import app

_ID = "79c1cf11-b447-4c50-a8c4-f847a9ab22b2"


@pytest.mark.parametrize(
    "words",
    [
        "effect list --status nope",
        f"effect resolve {_ID} --outcome unknown --note n",
        f"effect resolve {_ID} --outcome confirmed --note \u2028",
    ],
)
def test_our_own_sentence_stands_alone(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    told = CliRunner().invoke(app, words.split(" "))

    assert (told.exit_code, "Value error" in told.output) == (2, False), told.output
    assert any(said in told.output for said in ("is not one of", "must not be blank")), told.output
