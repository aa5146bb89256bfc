"""The channel WhatsApp, whoever carries it: renders and splits, knows the 24-hour window, picks the provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from integrations.channels.failures import MediaFailed, MediaFailureKind, SendFailed, SendFailureKind
from integrations.channels.port import Choice, MediaFile, MediaRef, OutgoingPart, OutgoingReply, Sent, Template
from integrations.whatsapp.accounts import META, read_account
from integrations.whatsapp.port import SendRequest, WhatsAppProvider
from integrations.whatsapp.rendering import literally, render
from integrations.whatsapp.splitting import measure, shorten, split
from integrations.whatsapp.window import is_open
from schemas.deliveries import PlannedPart

_NOTES = {
    SendFailureKind.OUTSIDE_WINDOW: "The last reply could not be delivered: the customer wrote more than 24 hours ago.",
    SendFailureKind.RECIPIENT_FINAL: "The last reply could not be delivered: WhatsApp does not reach this customer.",
    SendFailureKind.OURS: "The last reply could not be delivered: our account at the channel needs repair.",
    SendFailureKind.UNKNOWN: "Nobody knows whether the last reply arrived: the channel gave no answer and no status.",
}
_GIVEN_UP = "The last reply could not be delivered: the channel did not take it for too long."


class WhatsAppChannel:
    """Implements `Channel`. *providers* by name; the caller closes them through `close`."""

    def __init__(self, providers: Mapping[str, WhatsAppProvider]) -> None:
        self._providers = providers

    def plan(self, account: str, reply: OutgoingReply) -> list[PlannedPart]:
        """Rendered and split; the buttons stand under the last part where they fit, else under words of their own."""
        if template := reply.template:
            return [PlannedPart(part=0, kind="template", text=f"{template.name} {template.language}")]
        text, limits = _written(reply), self._of(account).limits
        parts = [PlannedPart(part=n, text=piece) for n, piece in enumerate(split(text, limits.text_units))]
        if not reply.choices or len(reply.choices) > limits.buttons:
            return parts
        choices = [choice.model_dump() for choice in reply.choices]
        if measure(text) <= limits.button_text_units:
            return [PlannedPart(part=0, kind="buttons", text=text, choices=choices)]
        return [*parts, PlannedPart(part=len(parts), kind="buttons", text=reply.choices_text, choices=choices)]

    def may_send(self, part: PlannedPart, last_customer_message_at: datetime | None, now: datetime) -> bool:
        return part.kind == "template" or is_open(last_customer_message_at, now)

    def failure_kind(self, account: str, code: int | None) -> SendFailureKind:
        provider = self._providers.get(read_account(account)[0])
        return provider.failure_kind(code) if provider else SendFailureKind.OURS

    def note(self, kind: SendFailureKind) -> str:
        return _NOTES.get(kind, _GIVEN_UP)

    async def send(self, outgoing: OutgoingPart) -> Sent:
        part, provider = outgoing.part, self._of(outgoing.account)
        request = SendRequest(
            account=read_account(outgoing.account)[1],
            recipient=outgoing.recipient,
            delivery_id=outgoing.delivery_id,
        )
        if part.kind == "template":
            name, _, language = part.text.partition(" ")
            return await provider.send_template(request, Template(name=name, language=language or "en"))
        if part.kind == "buttons":
            choices = tuple(Choice(**choice) for choice in part.choices)
            return await provider.send_buttons(request, part.text, choices)
        return await provider.send_text(request, part.text)

    async def mark_read_and_typing(self, account: str, channel_message_id: str) -> None:
        await self._of(account).mark_read_and_typing(read_account(account)[1], channel_message_id)

    async def download(self, account: str, media: MediaRef) -> MediaFile:
        provider, number = read_account(account)
        if provider not in self._providers:
            raise MediaFailed(MediaFailureKind.OURS, f"no account at {provider} is configured")
        return await self._providers[provider].download(number, media)

    async def close(self) -> None:
        for provider in self._providers.values():
            await provider.close()

    def _of(self, account: str) -> WhatsAppProvider:
        """The provider of an account of ours. Raises SendFailed, as for any account that an operator must repair."""
        name = read_account(account)[0]
        if name not in self._providers:
            raise SendFailed(SendFailureKind.OURS, f"no account at {name} is configured")
        return self._providers[name]


def _written(reply: OutgoingReply) -> str:
    """The words as WhatsApp shows them; as they are written where nothing else would be left of them.

    Cut before it is rendered, so that no text takes long, and after, for a table's names are told once a row.
    """
    said = shorten(reply.text, reply.max_characters)
    whole = literally(said) if reply.literal else render(said, reply.sources) or literally(said)
    written = shorten(whole, reply.max_characters)
    is_cut = said != reply.text.strip() or written != whole
    return f"{written}\n\n{literally(reply.cut_notice)}" if is_cut and reply.cut_notice else written


def only(provider: WhatsAppProvider, name: str = META) -> WhatsAppChannel:
    """The channel with one provider."""
    return WhatsAppChannel({name: provider})
