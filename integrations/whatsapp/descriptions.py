"""Words for what the model cannot see: the line that takes the place of a file. Shared by both webhooks."""

from __future__ import annotations

from integrations.channels.port import MediaRef
from schemas.messages import MessageKind

TEXT_CHARACTERS = 65_536
"""The longest text WhatsApp lets anybody write; more is cut, the whole stays in `raw`."""

UNREADABLE = "[The customer sent a message that cannot be read here.]"

MEDIA_WORDS = {
    MessageKind.IMAGE: "an image",
    MessageKind.AUDIO: "an audio file",
    MessageKind.VIDEO: "a video",
    MessageKind.DOCUMENT: "a document",
    MessageKind.STICKER: "a sticker",
}

_FOR_STAFF = "It is being fetched for our staff: say so, and not that it has arrived, for that is not known yet."


def describe_media(kind: MessageKind, media: MediaRef, caption: str | None) -> str:
    """One line for the model, which cannot see the file, then what the customer wrote under it."""
    described = f"[The customer sent {_what(kind, media)}, which you cannot open. {_FOR_STAFF}]"
    return f"{described}\n{caption}" if caption else described


def describe_own_media(who: str, kind: MessageKind, media: MediaRef, caption: str | None) -> str:
    """The same for what *who*, on our side, sent to the customer."""
    described = f"[{who} sent {_what(kind, media)}.]"
    return f"{described}\n{caption}" if caption else described


def _what(kind: MessageKind, media: MediaRef) -> str:
    what = "a voice message" if media.voice else MEDIA_WORDS.get(kind, "a file")
    return f"{what} named “{media.filename}”" if media.filename else what
