"""The settings of a command, and where a running system is: from the environment, else from DATA_DIR."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from cli.plain import visible
from config.env_file import slips
from config.former_names import FORMER, former_names
from config.hosts import through_proxies
from config.libraries import trouble_with_libraries, trouble_with_metrics
from config.proxies import proxy_trouble
from config.settings import ENV_FILE, Settings, SettingsError, load_settings
from config.together import half_set
from config.values import masked
from launch.failures import LaunchError
from launch.files import read_json
from launch.folder import check_media_folder
from launch.ports import check_different, check_host, check_port
from launch.records import is_running
from storage.media_files import folder_of

if TYPE_CHECKING:
    from storage.database import Database

META, TWILIO = "https://graph.facebook.com", "https://api.twilio.com"
T = TypeVar("T")

_ADDRESSES = "addresses.json"
_WRONG_USE = 2


def own_settings() -> Settings:
    """The settings as they are; a wrong one ends the program with one line and exit code 2.

    So do two that need each other where one is missing, and variables that our libraries could not work with.
    """
    settings = plain_settings()
    trouble = half_set(settings) or trouble_with_libraries(os.environ)
    if _calls_the_world(settings):
        trouble = trouble or proxy_trouble(os.environ)
    if trouble:
        raise stop(trouble)
    return settings


def plain_settings() -> Settings:
    """The same for the stand-ins, which need no account and call nobody."""
    try:
        return load_settings()
    except SettingsError as error:
        raise stop(str(error)) from None


def serving_settings() -> Settings:
    """For the parts that serve or answer, complete (`found_settings`); to be called before the web framework or
    Temporal's SDK are imported, which read variables of their own."""
    if trouble := trouble_with_metrics(os.environ):
        raise stop(trouble)
    settings = found_settings()
    check_database(settings)
    warn_of_names()
    return settings


def check_database(settings: Settings) -> None:
    """Ends the program with one line where the database's address could never work: a part alone would wait for it."""
    from storage.addresses import asyncpg_address
    from storage.parameters import wrong_parameter

    url = settings.database_url or ""
    if trouble := wrong_parameter(asyncpg_address(url)):
        raise stop(f"DATABASE_URL: {masked(url)}: {trouble}")


def check_listening(settings: Settings, *names: str) -> None:
    """Ends the program with one line where HOST is not this machine's, or a port in the settings *names* cannot be
    opened; 0 is none."""
    ports = {name: port for name in names if (port := getattr(settings, name.lower()))}
    try:
        if ports:
            check_host(settings.host)
            check_different(settings, [name.lower() for name in ports])
        for name, port in ports.items():
            check_port(name, settings.host, port)
    except LaunchError as error:
        raise stop(str(error)) from None


def check_option(check: Callable[[], None]) -> None:
    """Ends the program with one line where *check* finds that what an option names cannot be used."""
    try:
        check()
    except LaunchError as error:
        raise stop(str(error)) from None


def check_media(settings: Settings) -> None:
    """Ends the program with one line where customers' files could not be kept, if any can come."""
    no_account = settings.whatsapp_access_token is None and settings.twilio_account_sid is None
    if no_account and settings.media_dir is None:
        return
    check_option(lambda: check_media_folder(folder_of(settings)))


def warn_of_names() -> None:
    """A line on standard error for what has no effect: a setting's former name, a slip of one in `.env`."""
    former = former_names(os.environ, ENV_FILE)
    known = [*(name.upper() for name in Settings.model_fields), *FORMER]
    for line in filter(None, (*former, *slips(ENV_FILE, known))):
        _tell(line)


def _calls_the_world(settings: Settings) -> bool:
    """Whether a service beyond this machine is called, which a proxy of the environment would stand between."""
    services = (
        (settings.perplexity_base_url, settings.perplexity_base_url),
        (settings.whatsapp_access_token, settings.whatsapp_graph_url or META),
        (settings.twilio_account_sid, settings.twilio_api_url or TWILIO),
    )
    return any(through_proxies(address or "") for wanted, address in services if wanted)


def found_settings() -> Settings:
    """The settings, completed by the addresses and keys of the `agent run` that uses the same DATA_DIR.

    Ends the program with one line if no database is known then.
    """
    settings = completed(own_settings())
    if settings.database_url is None:
        folder = settings.data_dir.absolute()
        left = ", though one that was killed left addresses.json there" if (folder / _ADDRESSES).exists() else ""
        told = f"not set, and no `agent run` is running in DATA_DIR ({folder}){left}; start it, or set DATABASE_URL"
        raise stop(f"DATABASE_URL: {told}")
    return settings


def completed(settings: Settings) -> Settings:
    """What the settings leave open and DATA_DIR knows. A killed start leaves its addresses behind, whose ports may be
    anybody's by now: they count while a part of it runs."""
    started = is_running(settings.data_dir / "processes.json")
    addresses = read_json(settings.data_dir / _ADDRESSES) if started else {}
    kept = read_json(settings.data_dir / "secrets.json")
    known = {
        "database_url": addresses.get("database_url"),
        "temporal_address": addresses.get("temporal"),
        "perplexity_base_url": addresses.get("perplexity"),
        "api_key": kept.get("api_key"),
        "secret_key": kept.get("secret_key"),
    }
    missing = {
        name: value
        for name, value in known.items()
        if isinstance(value, str) and value and getattr(settings, name) is None
    }
    try:
        return load_settings(**missing) if missing else settings
    except SettingsError:
        raise stop(f"{_ADDRESSES} or secrets.json in {settings.data_dir.absolute()} is damaged") from None


def on_database(work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """What *work* makes of the running system's database; ends the program with one line if that is unavailable."""
    from storage.database import Database, StorageUnavailable

    settings = found_settings()

    async def run() -> T:
        database = Database(settings.database_url or "", statement_seconds=settings.database_timeout_seconds)
        try:
            return await work(database, settings)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except StorageUnavailable as error:
        url = masked(settings.database_url or "")
        raise stop(f"DATABASE_URL: {url}: {error.advice}") from None


def stop(message: str) -> typer.Exit:
    """Says *message* on standard error; raise what it returns."""
    _tell(message)
    return typer.Exit(_WRONG_USE)


def _tell(message: str) -> None:
    """On standard error; that nobody can read it (a closed pipe, a full disk) changes nothing else."""
    with suppress(OSError):
        typer.echo(f"agent: {visible(message)}", err=True)


def unreadable(file: Path, error: OSError | UnicodeDecodeError, advice: str) -> typer.Exit:
    """Says why *file*, named on the command line, cannot be read, and *advice*; raise what it returns."""
    if isinstance(error, UnicodeDecodeError):
        return stop(f"{file}: is not UTF-8; {advice}")
    why = {errno.ENOENT: "there is no such file", errno.EISDIR: "is a folder", errno.EACCES: "you may not read it"}
    return stop(f"{file}: {why.get(error.errno or 0, error.strerror)}; {advice}")
