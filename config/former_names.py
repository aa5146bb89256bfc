"""Settings that are no more: a start names each that is set and has no effect.

Other programs' variables are none of our business; these names were ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from config.env_file import names_in

FORMER: dict[str, str | None] = {
    "ACCOUNT_CALLS_IN_FLIGHT": "PERPLEXITY_ACCOUNT_CALLS_IN_FLIGHT",
    "ACCOUNT_CALLS_PER_MINUTE": "PERPLEXITY_ACCOUNT_CALLS_PER_MINUTE",
    "ACCOUNT_MESSAGES_BURST": None,
    "ACCOUNT_MESSAGES_PER_MINUTE": None,
    "ACCOUNT_PLACE_SECONDS": "PERPLEXITY_ACCOUNT_PLACE_SECONDS",
    "ACCOUNT_SLOT_SECONDS": "PERPLEXITY_ACCOUNT_SLOT_SECONDS",
    "ACCOUNT_WAIT_SECONDS": None,
    "CHANNEL_ACCOUNT_MESSAGES_BURST": None,
    "CHANNEL_ACCOUNT_MESSAGES_PER_MINUTE": None,
    "METRICS_DIR": None,
    "RECORD_PATIENCE_SECONDS": "DATABASE_RETRY_SECONDS",
    "RECORD_RETRY_PAUSE_SECONDS": "DATABASE_RETRY_PAUSE_SECONDS",
    "RECORD_TIMEOUT_SECONDS": "DATABASE_ACTIVITY_SECONDS",
    "STREAM_KEEPALIVE_SECONDS": None,
    "WORKER_RECORD_SECONDS": "WORKER_LAST_WRITE_SECONDS",
    "WORKER_SEEN_SECONDS": "READINESS_WORKER_SECONDS",
    "WORKER_TELL_SECONDS": "WORKER_LAST_WRITE_SECONDS",
}
"""None: nothing has its meaning any more."""


def former_names(environment: Mapping[str, str], env_file: Path) -> list[str]:
    """One line for each place in which a former setting is still set."""
    places = [("the environment", list(environment)), (str(env_file), names_in(env_file))]
    return [f"{place}: {_told(name.upper())}" for place, names in places for name in names if name.upper() in FORMER]


def _told(name: str) -> str:
    instead = FORMER[name]
    what = f"it is called {instead} now" if instead else "nothing takes its place"
    return f"{name} is no setting any more and has no effect; {what}"
