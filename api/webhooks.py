"""What a verified webhook brought, into the database; then whoever is concerned is woken."""

from __future__ import annotations

from asgi_correlation_id import correlation_id

from api.background_signals import BackgroundSignals
from config import metrics
from config.logs import get_logger
from config.settings import Settings
from integrations.whatsapp.incoming import CUSTOMER_SPEAKS, InboundMessage, ParsedBatch, StatusUpdate
from schemas.deliveries import StatusReport, read_delivery_id
from schemas.messages import BatchOptions, ChannelMessage, RateLimit, limit_key
from storage.delivery_reports import DeliveryReports
from storage.inbox import Inbox

log = get_logger(__name__)


class Webhooks:
    """Stores first, all of it; only then is the channel told that it was taken."""

    def __init__(self, inbox: Inbox, reports: DeliveryReports, signals: BackgroundSignals, settings: Settings) -> None:
        self._inbox = inbox
        self._reports = reports
        self._signals = signals
        self._settings = settings

    async def take(self, channel: str, batch: ParsedBatch, only_account: str | None = None) -> None:
        """Raises StorageUnavailable when not all is known to be stored: the channel must deliver it again.

        *only_account*: besides those that assistants list, the one account of ours.
        """
        if batch.messages:
            await self._take_messages(channel, batch.messages, only_account)
        if batch.statuses:
            reports = [_report(status) for status in batch.statuses]
            self._signals.delivery_due(await self._reports.record(channel, reports))
            metrics.WEBHOOKS.labels(channel, "status").inc(len(reports))
        leftovers = [*batch.unreadable, *batch.ignored]
        if leftovers:
            log.warning("webhook_leftovers", channel=channel, why=[leftover.why for leftover in leftovers][:20])
            await self._reports.keep_leftovers(channel, leftovers)
            metrics.WEBHOOKS.labels(channel, "leftover").inc(len(leftovers))

    async def _take_messages(self, channel: str, messages: list[InboundMessage], only_account: str | None) -> None:
        options = BatchOptions(
            accounts=[only_account] if only_account else None,
            tell_seconds=self._settings.over_limit_tell_seconds,
            wait_seconds=self._settings.over_limit_wait_seconds,
            silence_seconds=self._settings.number_silence_seconds,
            request_id=correlation_id.get(),
        )
        stored = [self._as_stored(channel, message) for message in messages]
        outcomes = await self._inbox.store_batch(channel, stored, options)
        for outcome in outcomes:
            metrics.WEBHOOKS.labels(channel, outcome.outcome).inc()
        merged = [each.ref for each in outcomes if each.outcome == "merged" and each.ref]
        new = [each.ref for each in outcomes if each.outcome == "new" and each.ref]
        # What is merged brings its files along, which its own wake-up may have come too late for.
        self._signals.message_stored(each.model_copy(update={"files": each.files or bool(merged)}) for each in new)
        self._signals.merged(merged)

    def _as_stored(self, channel: str, message: InboundMessage) -> ChannelMessage:
        return ChannelMessage(
            account=message.account,
            channel_message_id=message.channel_message_id,
            identities=message.identities,
            new_identities=message.new_identities,
            display_name=message.profile_name or message.username,
            username=message.username,
            kind=message.kind,
            speaks=message.kind in CUSTOMER_SPEAKS and not message.of_another,
            of_another=message.of_another,
            revises=message.revises,
            text=message.text,
            choice_id=message.choice_id,
            reply_to=message.reply_to,
            concerns=message.concerns,
            sent_at=message.sent_at,
            media=[reference.model_dump() for reference in message.media],
            raw=message.raw,
            limits=self._limits(channel, message),
        )

    def _limits(self, channel: str, message: InboundMessage) -> list[RateLimit]:
        settings = self._settings
        customer = message.identities[0]
        return [
            RateLimit(
                key=limit_key("customer", channel, message.account, customer.kind, customer.value),
                per_minute=settings.channel_customer_messages_per_minute,
                burst=settings.channel_customer_messages_burst,
            ),
        ]


def _report(status: StatusUpdate) -> StatusReport:
    delivery_id, fence = read_delivery_id(status.delivery_id)
    first = status.errors[0] if status.errors else None
    return StatusReport(
        channel_message_id=status.channel_message_id,
        status=status.status,
        delivery_id=delivery_id,
        fence=fence,
        error={"code": first.code, "explanation": first.text[:500]} if first else {},
    )
