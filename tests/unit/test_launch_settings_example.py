"""`.env.example` documents each setting with its default, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.settings import Settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def documented() -> dict[str, str]:
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))


def test_every_setting_is_documented_and_no_other() -> None:
    assert sorted(documented()) == sorted(name.upper() for name in Settings.model_fields)


def test_the_documented_values_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    written = {name.lower(): value for name, value in documented().items() if value}
    for name, value in written.items():
        monkeypatch.setenv(name.upper(), value)

    read = Settings(_env_file=None)  # type: ignore[call-arg]

    defaults = {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in Settings.model_fields.items()
    }
    assert set(written) == {name for name, default in defaults.items() if default is not None}
    assert {name: getattr(read, name) for name in written} == {name: defaults[name] for name in written}
