"""What `make install` leaves behind can be read in every locale, and other tools' variables do not lead it astray."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest

from tools import bootstrap

ROOT = Path(__file__).parents[2]


def test_python_finds_the_checkout_by_a_path_without_its_name() -> None:
    packages = Path(sysconfig.get_path("purelib"))

    (found,) = packages.glob("*perplexity_agent*.pth")

    text = found.read_text(encoding="ascii").strip()
    assert not os.path.isabs(text)
    assert (packages / text).resolve() == ROOT


def test_the_command_is_called_by_its_interpreter_not_by_its_first_line() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()

    called = [line for line in lines if line.startswith("\t") and "$(BIN)/" in line]

    assert called
    assert not [line for line in called if "$(BIN)/agent" in line or "$(BIN)/pytest" in line]


def test_a_socks_proxy_and_other_places_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"ALL_PROXY": "socks://127.0.0.1:1080/", "HTTPS_PROXY": "http://p:1", "PIP_USER": "1"}.items():
        monkeypatch.setenv(name, value)

    bootstrap.clean_environment()

    assert "ALL_PROXY" not in os.environ
    assert "PIP_USER" not in os.environ
    assert os.environ["HTTPS_PROXY"] == "http://p:1"
    assert "ALL_PROXY: pip cannot use a SOCKS proxy" in capsys.readouterr().err
