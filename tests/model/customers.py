"""What customers and the channel do: messages by webhook, as api/webhooks.py stores them and wakes; statuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from integrations.whatsapp.double import Posted
from schemas.conversation_ref import ConversationRef
from schemas.deliveries import StatusReport, read_delivery_id
from schemas.messages import (
    BatchOptions,
    BatchOutcome,
    ChannelMessage,
    CustomerIdentity,
    MessageKind,
    RateLimit,
    limit_key,
)
from storage.delivery_reports import DeliveryReports
from storage.inbox import Inbox
from tests.model import inside
from tests.model.configurations import ACCOUNT, KEYS, NEW_NUMBER, STRANGER
from tests.model.world import World

TELL_SECONDS = 600.0
HELLO = "Hello"
"""Each is another: it is numbered."""
_FILE = b"a photo"


@dataclass(frozen=True)
class Said:
    """One message. *ago*: seconds before now, by the channel's clock; *choice*: the button that was pressed."""

    text: str
    ago: float = 0
    choice: str | None = None
    file: bool = False


def write(world: World, customer: int, *said: Said, woken: bool = True, limit: int = 0, as_both: bool = False) -> None:
    """One webhook with as many messages. *limit*: so many at once are within the customer's limit (0: any);
    *as_both*: it shows that both customers are one."""
    words = [each.text for each in said]
    world.tell(f"customer {customer + 1} writes {words}{' a while ago' if said[0].ago else ''}")
    keys = world.keys[:STRANGER] if as_both else [world.keys[customer]]
    limited = limit_key("customer", world.keys[customer].value)
    limits = [RateLimit(key=limited, per_minute=1, burst=limit)] if limit else []
    first = len(world.composed) + 1
    messages = [_message(world, each, keys, limits, first + n) for n, each in enumerate(said)]
    world.composed += messages
    world.wrote.update(dict.fromkeys((each.channel_message_id for each in messages), customer))
    world.at_front_door("stores", lambda: _store(world, messages, woken=woken))


def repeat(world: World, message: ChannelMessage) -> None:
    """The webhook comes again."""
    world.tell(f"{message.channel_message_id} comes again")
    world.at_front_door("stores", lambda: _store(world, [message], woken=True))


def revise(world: World, customer: int, text: str | None) -> bool:
    """The customer's newest message reads *text* from now on, or is taken back (None). False if they wrote none."""
    theirs = [each for each in world.composed if each.speaks and world.wrote.get(each.channel_message_id) == customer]
    if not theirs:
        return False
    concerned, number = theirs[-1], len(world.composed) + 1
    world.tell(f"{concerned.channel_message_id} {'is taken back' if text is None else f'reads {text!r}'}")
    event = ChannelMessage(
        account=ACCOUNT,
        channel_message_id=f"in-{number}",
        identities=[world.keys[customer]],
        kind=MessageKind.DELETE if text is None else MessageKind.EDIT,
        speaks=False,
        text=text or "",
        concerns=concerned.channel_message_id,
        sent_at=world.now.replace(microsecond=0),
    )
    at_work = world.doors is not None or any(" answer" in actor.name for actor in world.stops.actors)
    world.revised[concerned.channel_message_id] = None if at_work else len(world.perplexity.asked)
    world.composed.append(event)
    world.at_front_door("stores", lambda: _store(world, [event], woken=True))
    return True


async def _store(world: World, messages: Sequence[ChannelMessage], *, woken: bool) -> None:
    options = BatchOptions(tell_seconds=TELL_SECONDS)
    outcomes = await Inbox(world.database).store_batch("whatsapp", messages, options)
    for outcome in outcomes:
        if outcome.ref is not None:  # else it was about who had the number before
            world.name_of(outcome.ref.conversation_id)
    if woken:
        _wake(world, outcomes)


def report(world: World, posted: int, status: str, code: int | None = None) -> None:
    """What the channel says of what it took as number *posted*."""
    sent = world.whatsapp.sent[posted]
    world.tell(f"{sent.channel_message_id} is {status} {code or ''}".rstrip())
    delivery_id, fence = read_delivery_id(sent.request.delivery_id)
    error = {"code": code, "explanation": "as the example says"} if code else {}
    told = StatusReport(
        channel_message_id=sent.channel_message_id, status=status, delivery_id=delivery_id, fence=fence, error=error
    )
    if status == "failed":
        world.reported_failed.append(sent.request.delivery_id)
    if status in ("delivered", "read"):
        world.reported_arrived.append(sent.request.delivery_id)
    world.at_front_door("reports", lambda: _record(world, told))


async def _record(world: World, told: StatusReport) -> None:
    for ref in await DeliveryReports(world.database).record("whatsapp", [told]):
        world.signalled(ref.workflow_id, "delivery_due")


def changes_hands(world: World, words: str) -> bool:
    """The first customer has another number from now on, as the channel tells, and a stranger writes *words* from the
    old one. False if that has come to pass already."""
    if world.keys[0] == NEW_NUMBER:
        return False
    world.loop.advance(1)  # the channel tells whole seconds: of what came before, it is seen that it did
    old, number = world.keys[0], len(world.composed) + 1
    world.tell(f"{old.value} is a stranger's, who writes {words!r}")
    world.keys = [NEW_NUMBER, world.keys[1], old]
    told = ChannelMessage(
        account=ACCOUNT,
        channel_message_id=f"in-{number}",
        identities=[old],
        new_identities=[NEW_NUMBER],
        kind=MessageKind.SYSTEM,
        speaks=False,
        sent_at=world.now.replace(microsecond=0),
    )
    world.loop.advance(1)
    written = _message(world, Said(words), [old], [], number + 1)
    world.composed += [told, written]
    world.wrote[written.channel_message_id] = STRANGER
    world.at_front_door("stores", lambda: _change(world, [told, written]))
    return True


async def _change(world: World, messages: Sequence[ChannelMessage]) -> None:
    outcomes = await Inbox(world.database).store_batch("whatsapp", messages, BatchOptions(tell_seconds=TELL_SECONDS))
    for outcome in outcomes:
        assert outcome.ref is not None
        world.name_of(outcome.ref.conversation_id)
    _, written, *_ = outcomes
    assert written.ref is not None
    world.strangers, world.freed_at = written.ref.conversation_id, world.now
    _wake(world, outcomes)


def customer_of(world: World, posted: Posted) -> int:
    part = read_delivery_id(posted.request.delivery_id)[0]
    if any(row["id"] == part and row["conversation_id"] == world.strangers for row in world.look(inside.PARTS)):
        return STRANGER
    return 0 if posted.request.recipient.phone in {KEYS[0].value, NEW_NUMBER.value} else 1


def _wake(world: World, outcomes: Sequence[BatchOutcome]) -> None:
    """One wake-up for each conversation; those that ended hand over."""
    merged = [each.ref for each in outcomes if each.outcome == "merged" and each.ref]
    newest: dict[str, ConversationRef] = {}
    for each in outcomes:
        if each.outcome == "new" and each.ref:
            known = newest.get(each.ref.workflow_id, each.ref)
            files = each.ref.files or known.files or bool(merged)
            newest[each.ref.workflow_id] = each.ref.model_copy(update={"files": files})
    for ref in newest.values():
        world.signalled(ref.workflow_id, "message_stored", ref.seq, ref.files)
    for ref in merged:
        world.tell(f"{world.name_of(ref.conversation_id)} is merged")
        world.signalled(ref.workflow_id, "standing_changed")


def _message(
    world: World, said: Said, keys: Sequence[CustomerIdentity], limits: Sequence[RateLimit], number: int
) -> ChannelMessage:
    media = f"media-{number}"
    if said.file:
        world.whatsapp.keep_file(media, _FILE, "image/jpeg")
    return ChannelMessage(
        account=ACCOUNT,
        channel_message_id=f"in-{number}",
        identities=list(keys),
        kind="image" if said.file else "button" if said.choice else "text",
        speaks=True,
        text=f"Hello {number}." if said.text == HELLO else said.text,
        choice_id=said.choice,
        sent_at=(world.now - timedelta(seconds=said.ago)).replace(microsecond=0),
        media=[{"id": media, "mime_type": "image/jpeg"}] if said.file else [],
        limits=list(limits),
    )
