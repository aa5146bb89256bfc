"""`agent conversation show|reset|export|erase`: a customer's conversation looked at, started over, given out,
erased."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from cli.plain import plain_json
from cli.standing import ConversationSummary, conversation_text
from cli.surroundings import on_database, stop
from cli.values import PATH, actor, trouble_with
from config.settings import Settings
from schemas import requests
from schemas.conversation_ref import ConversationRef
from schemas.encoding import dump_json
from schemas.sessions import Session
from storage import media_files
from storage.database import Database
from storage.erasure import Busy, Erased, Erasure
from storage.exports import Exports
from storage.overview import Overview
from storage.sessions import Ambiguous, Sessions
from storage.standings import Standings
from storage.turn_views import TurnViews

app = typer.Typer(help="Conversations: look at one, begin it anew, export or erase it.", no_args_is_help=True)

_LAST = 10

CustomerId = Annotated[str, typer.Argument(help="The name by which the channel knows the customer.")]
ChannelOption = Annotated[str, typer.Option("--channel", "-c", help="The channel the customer writes on.")]


@app.command()
def show(
    customer_id: CustomerId,
    channel: ChannelOption = "http",
    json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object.")] = False,
) -> None:
    """Where the conversation stands: state, thread, tickets, handoff, the last turns and words."""

    async def look(database: Database, settings: Settings) -> ConversationSummary:
        return await summary_of(database, await _found(database, channel, customer_id, settings.default_language))

    standing = on_database(look)
    typer.echo(plain_json(standing.model_dump_json(indent=2)) if json else conversation_text(standing), nl=json)


@app.command()
def reset(
    customer_id: CustomerId,
    channel: ChannelOption = "http",
    new_thread: Annotated[bool, typer.Option("--new-thread", help="The model forgets; old ids are kept.")] = False,
) -> None:
    """Give the conversation back to the bot, at once. Handoffs and questions end; a turn under way begins again."""
    from integrations.temporal.connection import address_of, connect
    from integrations.temporal.conversations import Conversations, TemporalUnavailable

    who = actor()

    async def begin_anew(database: Database, settings: Settings) -> Session:
        session = await _found(database, channel, customer_id)
        conversations = Conversations(await connect(settings, lazy=True), settings)
        if not (await conversations.health()).answers:
            raise TemporalUnavailable(f"nothing answers at {address_of(settings)}")
        changed = await Standings(database).reset(session.conversation_id, new_thread=new_thread, who=who)
        ref = ConversationRef.model_validate({**session.model_dump(), "seq": changed.waiting_seq or 0})
        await conversations.signal_standing_changed(ref)
        if changed.waiting_seq is not None:
            await conversations.signal_message_stored(ref)
        return await _found(database, channel, customer_id)

    try:
        session = on_database(begin_anew)
    except TemporalUnavailable as error:
        raise stop(f"Temporal cannot be reached: {error}") from None
    thread = "a new thread" if new_thread else "the same thread"
    typer.echo(f"{customer_id} on {channel}: {session.state}, going on in {thread}")


@app.command()
def export(
    customer_id: CustomerId,
    channel: ChannelOption = "http",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=PATH, help="Into this file instead; replaced.")
    ] = None,
) -> None:
    """Everything that is kept about the customer, in all conversations, as one JSON document."""

    async def gather(database: Database, _: Settings) -> dict[str, Any]:
        session = await _found(database, channel, customer_id)
        customer = await Erasure(database).customer_of(session.conversation_id)
        return await Exports(database).customer(customer)

    document = dump_json(on_database(gather)) + "\n"
    if output is None:
        typer.echo(plain_json(document), nl=False)
        return
    _write(output, document)
    typer.echo(f"written to {output}", err=True)


@app.command()
def erase(
    customer_id: CustomerId,
    channel: ChannelOption = "http",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask back.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also what is under way: it is given up.")] = False,
    everybody: Annotated[
        bool, typer.Option("--all", help="Where it is a name of several people: all of them.")
    ] = False,
) -> None:
    """Remove the customer's words and names for ever. Thread ids, numbers, statuses and counts are kept."""
    who = actor()
    if not yes:
        typer.confirm(f"Erase all words and names of {customer_id} on {channel}? Nothing brings them back.", abort=True)

    async def remove(database: Database, settings: Settings) -> Erased:
        done = Erased(again=True)
        for customer in await _customers(database, channel, customer_id, everybody=everybody):
            erased = await Erasure(database).erase(customer, actor=who, force=force)
            for sha256 in erased.files:
                media_files.remove(media_files.folder_of(settings), sha256)
            done = Erased(again=done.again and erased.again, messages=done.messages + erased.messages)
        return done

    try:
        erased = on_database(remove)
    except Busy as busy:
        raise stop(f"{customer_id} on {channel}: {busy}; wait until they are done, or use --force") from None
    if erased.again:
        typer.echo(f"nothing is kept of {customer_id} on {channel}: already erased, or never there; nothing changed")
    else:
        typer.echo(f"erased {customer_id} on {channel}: {erased.messages} messages, all names; ids and counts stay")


async def summary_of(database: Database, session: Session) -> ConversationSummary:
    return ConversationSummary(
        session=session,
        threads=(await Sessions(database).threads(session.conversation_id)).history,
        last_turns=await TurnViews(database).newest(session.conversation_id, _LAST),
        last_messages=await Overview(database).messages(session.conversation_id, _LAST),
    )


async def _found(database: Database, channel: str, customer_id: str, language: str = "en") -> Session:
    session = await _sought(database, channel, customer_id, language)
    if session is None:
        raise stop(f"{customer_id} has no conversation on {channel}")
    return session


async def _sought(database: Database, channel: str, customer_id: str, language: str = "en") -> Session | None:
    try:
        return await Sessions(database, language).find(*_checked(channel, customer_id))
    except Ambiguous as several:
        raise stop(f"{several}; use a name that only one of them has") from None


async def _customers(database: Database, channel: str, customer_id: str, *, everybody: bool) -> list[UUID]:
    """Whose name it is on the channel: nobody's, one customer's, or with *everybody* that of all who have it."""
    try:
        session = await Sessions(database).find(*_checked(channel, customer_id))
    except Ambiguous as several:
        if everybody:
            return several.people
        raise stop(f"{several}; use a name that only one of them has, or --all for all of them") from None
    return [await Erasure(database).customer_of(session.conversation_id)] if session else []


def _checked(channel: str, customer_id: str) -> tuple[str, str]:
    """Both, as the API takes them."""
    for name, kind, value in (
        ("CUSTOMER_ID", requests.CustomerId, customer_id),
        ("--channel", requests.ChannelName, channel),
    ):
        if trouble := trouble_with(value, kind):
            raise stop(f"{name}: got {value!r}; {trouble}")
    return channel, customer_id


def _write(path: Path, text: str) -> None:
    """For the owner's eyes only, and whole or not at all."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        unfinished.replace(path)
    except OSError as error:
        raise stop(f"{path}: {error.strerror}") from None
