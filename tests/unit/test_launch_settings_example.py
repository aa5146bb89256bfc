"""`.env.example` documents each setting with its default, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from config.settings import Settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def documented() -> dict[str, str]:
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))


def test_every_setting_is_documented_and_no_other() -> None:
    assert sorted(documented()) == sorted(name.upper() for name in Settings.model_fields)


def test_the_documented_values_are_the_defaults() -> None:
    written = {name.lower(): value for name, value in documented().items() if value}

    read = Settings(_env_file=None, **written)  # type: ignore[call-arg, arg-type]

    assert set(written) == {name for name, field in Settings.model_fields.items() if field.default is not None}
    assert {name: getattr(read, name) for name in written} == {
        name: Settings.model_fields[name].default for name in written
    }
