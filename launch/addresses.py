"""Where everything can be reached: `DATA_DIR/addresses.json` for programs, one table for people."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from config.served_address import is_loopback
from config.settings import Settings
from config.values import masked
from launch.files import write_json
from launch.keys import Keys
from launch.ports import Ports

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}
_UNBROKEN = 400  # columns: an address that is wrapped cannot be clicked


@dataclass(frozen=True)
class Addresses:
    """All addresses of one run. *temporal_ui* is None when Temporal is somebody else's.

    *phone* is the page to try WhatsApp with, *whatsapp* the stand-in of the Graph API behind it; None where it is off.
    """

    api: str
    playground: str
    dashboard: str
    docs: str
    temporal: str
    temporal_ui: str | None
    database_url: str
    perplexity: str
    phone: str | None = None
    whatsapp: str | None = None

    def write(self, path: Path, pids: Mapping[str, int]) -> None:
        write_json(path, {**asdict(self), "pids": dict(pids)})


def addresses_of(settings: Settings, ports: Ports, keys: Keys, database_url: str) -> Addresses:
    """What the settings name stays; the rest is ours, on this machine."""
    host = _EVERYWHERE.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    api = f"http://{host}:{ports.api}"
    key = f"#key={keys.api_key}" if keys.api_key_is_ours else ""  # a fragment never reaches a server or its logs
    # The link works on this machine only.
    door = f"enter?token={keys.admin_link_token}" if is_loopback(host) else "login"
    phone = has_phone(settings)
    return Addresses(
        api=api,
        playground=f"{api}/playground{key}",
        dashboard=f"{api}/dashboard/{door}",
        docs=f"{api}/docs",
        temporal=settings.temporal_address or f"127.0.0.1:{ports.temporal}",
        temporal_ui=None if settings.temporal_address else f"http://127.0.0.1:{ports.temporal_ui}",
        database_url=database_url,
        perplexity=settings.perplexity_base_url or f"http://127.0.0.1:{ports.simulator}",
        phone=f"{api}/phone" if phone else None,
        whatsapp=f"http://127.0.0.1:{ports.whatsapp}" if phone else None,
    )


def has_phone(settings: Settings) -> bool:
    """Whether a phone to try WhatsApp with is started: while nobody has set a real account, or forbidden it."""
    return settings.whatsapp_access_token is None and settings.whatsapp_phone is not False


def table_of(addresses: Addresses, keys: Keys, *, simulated: bool, logs: Path) -> str:
    """One table, as text."""
    table = Table(box=box.HORIZONTALS, show_header=False)
    table.add_column(style="bold")
    table.add_column(no_wrap=True)
    table.add_row("Playground", addresses.playground)
    if addresses.phone:
        table.add_row("WhatsApp phone", f"{addresses.phone}  (to try it; no account is needed, none is used)")
    once = "  (signs in once)" if "?token=" in addresses.dashboard else "  (by https only: see PUBLIC_URL)"
    table.add_row("Dashboard", f"{addresses.dashboard}{once}")
    table.add_row("API docs", addresses.docs)
    table.add_row("Temporal UI", addresses.temporal_ui or f"not ours; Temporal is at {addresses.temporal}")
    table.add_row("API", addresses.api)
    table.add_row("API key", keys.api_key if keys.api_key_is_ours else "the one you set in API_KEY")
    label = "  (a simulator; set PERPLEXITY_BASE_URL for the real wrapper)" if simulated else ""
    table.add_row("Perplexity", f"{masked(addresses.perplexity)}{label}")
    table.add_row("Logs", str(logs))
    shown = StringIO()
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    Console(file=shown, width=_UNBROKEN, highlight=False, force_terminal=on_terminal).print(table)
    return shown.getvalue()
