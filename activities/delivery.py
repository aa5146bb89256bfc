"""Sends replies over a channel: rendered, in parts, in order, each part once.

Each attempt reads the database and goes on from there, so a crash anywhere repeats nothing that surely went out. Where
nobody knows, the channel's status webhook is waited for; what then stays unknown is DELIVERY_UNKNOWN's choice between
a possible duplicate and a possible loss.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import NoReturn
from uuid import UUID, uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from actions.question_words import words_for
from activities.assistants import AssistantCache, LoadedAssistant
from activities.heartbeat import Beat, beating
from config import metrics
from config.clock import Clock, Monotonic, utc_now
from config.logs import get_logger
from config.settings import Settings
from integrations.channels.failures import SEND_FAILURES, SendFailed, SendFailureKind
from integrations.channels.port import Channel, Choice, OutgoingPart, OutgoingReply, Recipient, Sent, Template
from schemas.conversations import Deliver, Delivered
from schemas.deliveries import Address, DueMessage, Part
from schemas.effects import EffectFailure, EffectOutcome, EffectStatus
from schemas.failures import Certainty
from storage.outbox import Outbox

log = get_logger(__name__)

_SOMEBODY_ELSE = "the customer's address belongs to somebody else by now"
_NO_CHANNEL = "The last reply could not be delivered: its channel is not configured."


class Undeliverable(Exception):
    """The rest of the message is not sent. Raised by `_send`, handled by `deliver`."""

    def __init__(self, kind: SendFailureKind, explanation: str) -> None:
        super().__init__(explanation)
        self.kind = kind


class Withheld(Exception):
    """A person has taken the conversation: the rest of the message is kept. Raised by `_send`, handled by `deliver`."""


class Replaced(Exception):
    """It has ended since it was read, or is superseded. Raised by `_send_all`, handled by `deliver`."""


class DeliveryActivities:
    """*channels*: the adapter for each channel that replies are sent over, as far as one is configured.

    *now*: the one clock, which the database's times follow too (`agent_now()`); *monotonic*: for what lasts moments.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        assistants: AssistantCache,
        settings: Settings,
        beat: Beat,
        now: Clock = utc_now,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._channels = channels
        self._assistants = assistants
        self._settings = settings
        self._beat = beat
        self._now = now
        self._monotonic = monotonic

    @activity.defn
    async def deliver(self, request: Deliver) -> Delivered:
        """Sends what is due, oldest first. Safe to repeat, also while an earlier attempt still runs.

        Raises ApplicationError, retryable with its own delay, while a part waits for the channel.
        """
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            return await self._deliver(request.conversation_id)

    async def _deliver(self, conversation_id: UUID) -> Delivered:
        """Until nothing is due: where a message ends, it or another may be due again (`answer_held`)."""
        delivered = Delivered()
        while due := await self._outbox.due(conversation_id):
            for message in due:
                await self._carry_on(message, delivered)
                if message.superseded:
                    break  # what comes in its place leaves before the rest
        return delivered

    async def _carry_on(self, message: DueMessage, delivered: Delivered) -> None:
        """Sends what is left of it, or ends it; what came of that is added to *delivered*."""
        assistant = await self._assistants.at(message.assistant, message.assistant_version)
        if message.superseded and not message.is_in_doubt:
            await self._outbox.supersede(message, assistant.texts.dropped)
            return
        is_withheld = message.is_withheld
        try:
            delivered.parts += await self._send_all(message, assistant)
            await self._outbox.finish(message.id)
        except Undeliverable as failed:
            await self._give_up(message, assistant, failed)
        except Withheld:
            is_withheld = True
            await self._withhold(message)
        except Replaced:
            pass  # read again, if it is due
        if is_withheld:
            delivered.waiting_seq = await self._outbox.waiting_seq(message.conversation_id) or delivered.waiting_seq

    async def _send_all(self, message: DueMessage, assistant: LoadedAssistant) -> int:
        """Sends what is left of it, in order; how many parts that were."""
        channel = self._channels.get(message.channel)
        if channel is None:
            why = f"no account for {message.channel} is configured"
            self._wait(message, SendFailureKind.OURS, why, self._pause(None), attempt=1)
        parts = message.parts or await self._plan(message, channel, assistant)
        if message.leaves_after_all:
            parts = await self._outbox.renew(message, self._settings.delivery_give_up_seconds)
            if not parts:
                raise Replaced
        waiting = [part for part in parts if (part.is_in_doubt if message.superseded else not part.is_over)]
        for part in waiting:
            if part.status is EffectStatus.FAILED:
                part = await self._after_failure(message, part, channel)
            await self._send(message, part, channel)
        return len(waiting)

    async def _plan(self, message: DueMessage, channel: Channel, assistant: LoadedAssistant) -> list[Part]:
        try:
            reply = _whole(message, assistant, self._settings.reply_max_characters)
            planned = await asyncio.to_thread(channel.plan, message.account, reply)
        except SendFailed as failed:  # nobody carries this account (any more): an operator repairs it
            self._wait(message, failed.kind, failed.explanation, self._pause(None), attempt=1)
        parts = await self._outbox.plan(message, planned, self._settings.delivery_give_up_seconds)
        if planned and not parts:
            raise Replaced
        return parts

    async def _send(self, message: DueMessage, part: Part, channel: Channel) -> None:
        if part.status is EffectStatus.PLANNED:
            self._keep_pause(part)
        else:
            await self._settle(message, part)
        if not message.is_known:
            raise Undeliverable(SendFailureKind.RECIPIENT_FINAL, _SOMEBODY_ELSE)
        if not channel.may_send(part, message.wrote_at, self._now()):
            raise Undeliverable(SendFailureKind.OUTSIDE_WINDOW, "it is too long since the customer wrote")
        to, begun = await self._claim(part)
        try:
            answer = await _put(channel, message, to, begun)
        except SendFailed as failed:
            await self._failed(message, begun, failed)
        else:
            await self._outbox.sent(begun, answer.channel_message_id)
            metrics.DELIVERIES.labels(message.channel, "sent").inc()

    async def _claim(self, part: Part) -> tuple[Address, Part]:
        """The part, claimed under the owner's version, and to whom it goes: its request begins at once, or not at all.

        A take-over waits TAKE_OVER_WAIT_SECONDS for what was claimed before it. Who got the claim's answer later than
        that gives way: the next attempt finds whether the words may still leave.
        """
        asked = self._monotonic()
        try:
            claimed = await self._outbox.claim(part, self._settings.delivery_timeout_seconds)
        except LookupError:
            raise Replaced from None
        if claimed.withheld:
            raise Withheld
        if claimed.is_over:
            raise Replaced
        if claimed.part is None:
            raise _superseded()
        if self._monotonic() - asked >= self._settings.take_over_wait_seconds:
            await self._outbox.ledger.release(
                claimed.part, EffectFailure.GAVE_WAY, {"explanation": "claimed too slowly"}
            )
            raise ApplicationError("the claim took too long", type="GaveWay")
        return claimed.address, claimed.part

    async def _withhold(self, message: DueMessage) -> None:
        """Unless it is to leave after all, for the bot has the conversation again."""
        channel = self._channels.get(message.channel)
        note = channel.note(SendFailureKind.UNKNOWN) if channel else _NO_CHANNEL
        if await self._outbox.withhold(message.id, note):
            metrics.DELIVERIES.labels(message.channel, "withheld").inc()
            log.info("delivery_withheld", conversation_id=str(message.conversation_id), message_id=str(message.id))

    async def _after_failure(self, message: DueMessage, part: Part, channel: Channel) -> Part:
        """A part that the channel took and then reported as failed: planned again if that may help."""
        error = part.error or {}
        kind = channel.failure_kind(message.account, error.get("code"))
        if not SEND_FAILURES[kind].retried or part.attempts > self._settings.delivery_resends:
            raise Undeliverable(kind, str(error.get("explanation") or "the channel reported a failure"))
        if not await self._outbox.ledger.release(part, None, error):
            raise _superseded()
        return part.model_copy(update={"status": EffectStatus.PLANNED, "not_before": None})

    async def _settle(self, message: DueMessage, part: Part) -> None:
        """A part that may have gone out: returns only if it is to be sent again."""
        assert part.claimed_at is not None
        if part.status is EffectStatus.SENDING:
            if not await self._unknown(part, SendFailureKind.UNKNOWN, "the sender vanished"):
                raise _superseded()
            part.status, part.unknown_attempts = EffectStatus.UNKNOWN, part.unknown_attempts + 1
        waited = (self._now() - part.claimed_at).total_seconds()
        if waited < self._settings.delivery_settle_seconds:
            pause = timedelta(seconds=self._settings.delivery_settle_poll_seconds)
            raise ApplicationError("waits for the channel's status", type="Unsettled", next_retry_delay=pause)
        leaves = self._settings.delivery_unknown == "leave" or message.superseded
        resends = 0 if leaves else self._settings.delivery_unknown_resends
        if part.unknown_attempts > resends:
            raise Undeliverable(SendFailureKind.UNKNOWN, "no status came")

    async def _failed(self, message: DueMessage, part: Part, failed: SendFailed) -> NoReturn:
        metrics.DELIVERIES.labels(message.channel, failed.kind).inc()
        error = {"explanation": failed.explanation, "code": failed.code}
        log.warning("not_sent", conversation_id=str(message.conversation_id), delivery_id=str(part.id), **error)
        if failed.policy.certainty is Certainty.UNKNOWN:
            await self._unknown(part, failed.kind, failed.explanation)
            settling = timedelta(seconds=self._settings.delivery_settle_poll_seconds)
            raise ApplicationError(f"not sent: {failed.kind}", type=failed.kind, next_retry_delay=settling)
        pause = self._pause(failed.retry_after or failed.policy.first_pause * 2 ** (part.attempts - 1))
        if not await self._outbox.ledger.release(part, failed.kind, error, pause.total_seconds()):
            raise _superseded()
        if not failed.policy.retried:
            raise Undeliverable(failed.kind, failed.explanation)
        self._wait(message, failed.kind, failed.explanation, pause, part.attempts)

    async def _unknown(self, part: Part, kind: SendFailureKind, why: str) -> bool:
        """False: another attempt has the part by now."""
        return await self._outbox.ledger.complete(part, EffectOutcome(status=EffectStatus.UNKNOWN, error=why), kind)

    def _keep_pause(self, part: Part) -> None:
        """Whatever woke this attempt, the channel's pause before the next try is kept."""
        left = part.not_before - self._now() if part.not_before else timedelta()
        if left > timedelta():
            raise ApplicationError("waits before the next try", type="Paused", next_retry_delay=left)

    def _pause(self, seconds: float | None) -> timedelta:
        longest = self._settings.delivery_pause_max_seconds
        return timedelta(seconds=min(seconds or longest, longest))

    def _wait(self, message: DueMessage, kind: SendFailureKind, why: str, pause: timedelta, attempt: int) -> NoReturn:
        """Tries again later, unless it has been tried long and often enough."""
        age = (self._now() - message.stored_at).total_seconds()
        if attempt >= self._settings.delivery_attempts or age > self._settings.delivery_give_up_seconds:
            raise Undeliverable(kind, why)
        raise ApplicationError(f"not sent: {kind}", type=kind, next_retry_delay=pause)

    async def _give_up(self, message: DueMessage, assistant: LoadedAssistant, failed: Undeliverable) -> None:
        """Staff are told. Outside the window an approved template goes in the reply's place."""
        template = assistant.stored.config.template
        if failed.kind is SendFailureKind.OUTSIDE_WINDOW and template is not None and _may_be_replaced(message):
            await self._outbox.add(
                message.conversation_id,
                f"[Template {template.name}]",
                message_id=uuid5(message.id, "template"),
                author="assistant",
                meta={"template": template.model_dump(), "instead_of": str(message.id)},
                owner_version=message.owner_version,
            )
        channel = self._channels.get(message.channel)
        is_unknown = any(part.may_have_arrived for part in message.parts)
        note = channel.note(SendFailureKind.UNKNOWN if is_unknown else failed.kind) if channel else _NO_CHANNEL
        if await self._outbox.give_up(message, failed.kind, str(failed), note):
            metrics.DELIVERIES.labels(message.channel, "given_up").inc()
            told = {"conversation_id": str(message.conversation_id), "kind": failed.kind, "why": str(failed)}
            log.error("delivery_given_up", **told)


def _superseded() -> ApplicationError:
    """Another attempt has taken the part, or the channel has told of it: it is read again before anything is said."""
    return ApplicationError("another attempt is sending this part", type="Superseded")


def _may_be_replaced(message: DueMessage) -> bool:
    """By a template: it is none itself, and nothing of it has arrived."""
    return "template" not in message.meta and not any(part.status is EffectStatus.CONFIRMED for part in message.parts)


def _whole(message: DueMessage, assistant: LoadedAssistant, max_characters: int) -> OutgoingReply:
    """The reply as it is to be planned: a template in its place, or its words with yes and no as buttons."""
    words = words_for(assistant.language)
    ids, titles = message.meta.get("buttons") or {}, {"confirm": words.yes, "cancel": words.no}
    template = message.meta.get("template")
    return OutgoingReply(
        text=message.text,
        max_characters=max_characters,
        cut_notice=assistant.texts.reply_cut,
        sources=tuple(message.sources),
        choices=tuple(Choice(id=ids[name], title=title) for name, title in titles.items() if name in ids),
        choices_text=words.answer,
        literal=bool(ids),
        template=Template(**template) if template else None,
    )


async def _put(channel: Channel, message: DueMessage, to: Address, part: Part) -> Sent:
    if not to.is_known:  # it was the customer's when the message was read
        raise SendFailed(SendFailureKind.RECIPIENT_FINAL, _SOMEBODY_ELSE)
    recipient = Recipient(phone=to.phone, user_id=to.user_id)
    outgoing = OutgoingPart(account=message.account, recipient=recipient, delivery_id=part.delivery_id, part=part)
    return await channel.send(outgoing)
