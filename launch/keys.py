"""API_KEY and SECRET_KEY of an installation: made up at its first start, the same ever after."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from launch.files import read_json, write_json

_SECRET_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """*api_key_is_ours*: made up here, so it may be shown; a key that the user set never is."""

    api_key: str
    secret_key: str
    admin_link_token: str
    api_key_is_ours: bool


def find_keys(settings: Settings, path: Path) -> Keys:
    """Those of the settings, else those kept in *path*, else new ones, kept there. The link's token is always new."""
    kept = read_json(path)
    made = {"api_key": f"pa_{secrets.token_urlsafe(_SECRET_BYTES)}", "secret_key": secrets.token_urlsafe(_SECRET_BYTES)}
    if missing := {name: value for name, value in made.items() if name not in kept}:
        kept |= missing
        write_json(path, kept)
    api_key, secret_key = settings.api_key, settings.secret_key
    return Keys(
        api_key=api_key.get_secret_value() if api_key else kept["api_key"],
        secret_key=secret_key.get_secret_value() if secret_key else kept["secret_key"],
        admin_link_token=secrets.token_urlsafe(_SECRET_BYTES),
        api_key_is_ours=api_key is None,
    )
