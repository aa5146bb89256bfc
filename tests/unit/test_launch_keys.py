"""Keys are made once, kept closed, and never replaced by a later start."""

from __future__ import annotations

import stat
from pathlib import Path

from config.settings import Settings
from launch.keys import find_keys

UNSET = Settings(_env_file=None, api_key=None, secret_key=None)  # type: ignore[call-arg]
SET = Settings(_env_file=None, api_key="mine-0123456789", secret_key="also mine")  # type: ignore[call-arg, arg-type]


def test_keys_are_made_once(tmp_path: Path) -> None:
    first, second = (find_keys(UNSET, tmp_path / "secrets.json") for _ in range(2))

    assert (first.api_key, first.secret_key) == (second.api_key, second.secret_key)
    assert first.api_key != first.secret_key
    assert first.admin_link_token != second.admin_link_token


def test_only_their_owner_reads_them(tmp_path: Path) -> None:
    find_keys(UNSET, tmp_path / "secrets.json")

    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_keys_of_the_settings_win_and_are_not_kept(tmp_path: Path) -> None:
    keys = find_keys(SET, tmp_path / "secrets.json")

    assert (keys.api_key, keys.secret_key, keys.api_key_is_ours) == ("mine-0123456789", "also mine", False)
    assert "mine" not in (tmp_path / "secrets.json").read_text()
