"""`agent`: the commands that run the system. Commands about one subject are a sub-app in a module of its name.

Each command imports what it needs itself: `agent --help` and `agent doctor` need neither Temporal's SDK nor the web
framework, and a process loads only its own part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import assistants, backups, conversations, effects, keys, leftovers, tickets, users
from cli.surroundings import (
    check_listening,
    check_media,
    check_option,
    found_settings,
    own_settings,
    plain_settings,
    serving_settings,
    stop,
    warn_of_names,
)
from cli.values import ADDRESS, PATH, PORT, Commands
from config.values import masked

app = typer.Typer(
    cls=Commands,
    help="Durable customer conversations over Perplexity.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(assistants.app, name="assistant")
app.add_typer(conversations.app, name="conversation")
app.add_typer(effects.app, name="effect")
app.add_typer(keys.app, name="key")
app.add_typer(leftovers.app, name="leftover")
app.add_typer(tickets.app, name="ticket")
app.add_typer(users.app, name="user")
app.command()(backups.backup)
app.command()(backups.restore)
app.command("prompt-pack")(assistants.show_prompt_pack)


@app.command()
def run() -> None:
    """Start everything: PostgreSQL, Temporal, the simulator, worker and API (what `make run` does)."""
    from launch.main import run

    settings = own_settings()
    warn_of_names()
    raise typer.Exit(run(settings))


@app.command()
def api() -> None:
    """Serve HTTP: API, playground and dashboard."""
    settings = serving_settings()
    check_listening(settings, "PORT")
    from api.main import main
    from dashboard.overview import overview
    from dashboard.phone import phone
    from dashboard.playground import playground
    from dashboard.sign_in import sign_in

    main(settings, pages=[playground(settings), overview(settings), sign_in(settings), phone(settings)])


@app.command()
def worker() -> None:
    """Answer conversations."""
    settings = serving_settings()
    if settings.perplexity_base_url is None:
        raise stop("PERPLEXITY_BASE_URL: not set; set it to the wrapper's address, like http://localhost:9000")
    check_media(settings)
    check_listening(settings, "WORKER_METRICS_PORT", "WORKER_COUNTERS_PORT")
    from worker.main import main

    main(settings)


@app.command()
def simulator(
    port: Annotated[int, typer.Option(callback=PORT, help="On 127.0.0.1.")] = 8090,
    state_folder: Annotated[Path, typer.Option(callback=PATH, help="The folder where its threads are kept.")] = Path(
        ".data/simulator"
    ),
) -> None:
    """Play the Perplexity wrapper, for tests and demonstrations. It asks nobody."""
    from integrations.perplexity.simulator.serve import HOST, main
    from launch.folder import check_folder
    from launch.ports import check_port

    settings = plain_settings()
    check_option(lambda: check_port("--port", HOST, port))
    check_option(lambda: check_folder("--state-folder", state_folder))
    main(port, state_folder, settings.simulator_pace)


@app.command()
def standin(
    port: Annotated[int, typer.Option(callback=PORT, help="On 127.0.0.1.")] = 8190,
    webhook_url: Annotated[str, typer.Option(callback=ADDRESS, help="Where its webhooks go.")] = (
        "http://127.0.0.1:8000/api/webhooks/whatsapp"
    ),
) -> None:
    """Play WhatsApp's Graph API, for tests and for the phone of `make run`. It reaches nobody."""
    from integrations.whatsapp.standin.serve import HOST, main
    from launch.ports import check_port

    secret = plain_settings().whatsapp_app_secret
    if secret is None:
        raise stop("WHATSAPP_APP_SECRET is needed: the stand-in signs its webhooks with it")
    check_option(lambda: check_port("--port", HOST, port))
    main(port, webhook_url, secret.get_secret_value())


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from storage.migrate import upgrade
    from storage.suitability import DatabaseUnusable

    settings = found_settings()
    url = settings.database_url or ""
    try:
        upgrade(url, settings.database_timeout_seconds)
    except DatabaseUnusable as error:
        raise stop(f"DATABASE_URL: {masked(url)}: {error}") from None


@app.command()
def doctor() -> None:
    """Check this machine and the running system; the exit code is 1 if something is wrong."""
    from cli.doctor import examine

    settings = own_settings()
    warn_of_names()
    raise typer.Exit(examine(settings))
