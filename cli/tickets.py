"""`agent ticket resolve`: ends a ticket of the built-in desk. Who has the conversation, and other tickets, stay; what
was held while it was open is answered."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.surroundings import on_database, stop
from cli.values import NAME, actor
from config.settings import Settings
from schemas.conversation_ref import ConversationRef
from storage.database import Database
from storage.desk import Desk

app = typer.Typer(help="Tickets of the built-in desk.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Tickets of the built-in desk."""


@app.command()
def resolve(
    ticket_id: Annotated[str, typer.Argument(callback=NAME, help="As the customer was told it, like T-1001.")],
) -> None:
    """End an open ticket. The customer is not told."""
    from integrations.temporal.connection import connect
    from integrations.temporal.conversations import Conversations, TemporalUnavailable

    who = actor()

    async def end(database: Database, settings: Settings) -> ConversationRef | None:
        ref = await Desk(database).resolve_ticket(ticket_id, who=who)
        if ref is not None:
            conversations = Conversations(await connect(settings, lazy=True), settings)
            try:
                async with asyncio.timeout(settings.temporal_rpc_timeout_seconds):
                    await conversations.signal_standing_changed(ref)
                    if ref.seq:
                        await conversations.signal_message_stored(ref)
            except (TemporalUnavailable, TimeoutError):
                typer.echo("Temporal cannot be reached: the conversation hears of it with its next message", err=True)
        return ref

    if on_database(end) is None:
        raise stop(f"{ticket_id}: there is no such open ticket")
    typer.echo(f"{ticket_id} is resolved")
