"""An installation's own secrets: made up at its first start, the same ever after."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from config.settings import Settings
from config.values import header_value, one_line
from launch.failures import LaunchError
from launch.files import read_json, write_json

_SECRET_BYTES = 32
_CHECKS = {"api_key": header_value, "secret_key": one_line, "app_secret": header_value, "verify_token": header_value}
"""As the settings of these names are checked in each part."""


@dataclass(frozen=True)
class Keys:
    """*api_key_is_ours*: made up here, so it may be shown; a key that the user set never is.

    *app_secret* and *verify_token* are those of the WhatsApp stand-in.
    """

    api_key: str
    secret_key: str
    admin_link_token: str
    metrics_token: str
    api_key_is_ours: bool
    app_secret: str
    verify_token: str


def find_keys(settings: Settings, path: Path) -> Keys:
    """Those of the settings, else those kept in *path*, else new ones, kept there. The link's token is always new, and
    so is the one with which the start itself looks, unless METRICS_TOKEN is set.

    Raises LaunchError for a file that cannot be read: whoever has the keys in it would be refused with new ones.
    """
    kept = read_json(path)
    if path.exists() and not _are_keys(kept):
        raise LaunchError(
            f"{path} is damaged: bring it back from a copy, or move it aside to begin with new keys (whoever has the"
            " old API key, or is signed in to the dashboard, is refused then)"
        )
    if wrong := _wrong_in(kept):
        raise LaunchError(f"{path}: {wrong}; bring the file back from a copy, or move it aside to begin with new keys")
    made = {name: secrets.token_urlsafe(_SECRET_BYTES) for name in ("secret_key", "app_secret", "verify_token")}
    made["api_key"] = f"pa_{secrets.token_urlsafe(_SECRET_BYTES)}"
    if missing := {name: value for name, value in made.items() if name not in kept}:
        kept |= missing
        write_json(path, kept)
    theirs = {
        "api_key": settings.api_key,
        "secret_key": settings.secret_key,
        "app_secret": settings.whatsapp_app_secret,
        "verify_token": settings.whatsapp_verify_token,
    }
    chosen = {name: secret.get_secret_value() if secret else kept[name] for name, secret in theirs.items()}
    return Keys(
        **chosen,
        admin_link_token=secrets.token_urlsafe(_SECRET_BYTES),
        metrics_token=token.get_secret_value() if (token := settings.metrics_token) else _made_up(),
        api_key_is_ours=settings.api_key is None,
    )


def _made_up() -> str:
    return secrets.token_urlsafe(_SECRET_BYTES)


def _wrong_in(kept: dict[str, Any]) -> str | None:
    """What the programs that get the keys would refuse, without knowing where they come from; never a value."""
    for name, value in kept.items():
        if not value.isprintable():
            return f"{name} holds a line break or control character"
    for name, check in _CHECKS.items():
        try:
            check(SecretStr(kept[name]) if name in kept else None)
        except ValueError as error:
            return f"{name} cannot be used ({error})"
    return None


def _are_keys(kept: dict[str, Any]) -> bool:
    return bool(kept) and all(isinstance(value, str) and value for value in kept.values())
