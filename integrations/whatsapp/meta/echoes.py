"""What our own side wrote beside us, as the Cloud API echoes it: staff on the phone itself, or another sender.

Source: Meta, "smb_message_echoes webhook reference" and "Standby webhooks", read 2026-11. The types are those of
customers' messages; whose words they are is said here, for a record must not put one author's into another's mouth.
"""

from __future__ import annotations

from typing import Any

from integrations.whatsapp.descriptions import TEXT_CHARACTERS, describe_own_media
from integrations.whatsapp.meta.contents import Content, read_content
from integrations.whatsapp.reading import mapping, text
from schemas.messages import MessageKind

_CUSTOMER = "[The customer "
_AS_WRITTEN = {MessageKind.TEXT, MessageKind.BUTTON, MessageKind.LIST, MessageKind.EDIT}


def read_echo(message: dict[str, Any], who: str) -> tuple[Content, MessageKind | None]:
    """The echo's content, and whether it edits or takes back an earlier one of ours. *who* begins a sentence."""
    content = read_content(message)
    revision = content.kind if content.kind in {MessageKind.EDIT, MessageKind.DELETE} else None
    words = content.text
    if content.media and revision is None:
        caption = text(mapping(message, content.kind.value).get("caption"), most=TEXT_CHARACTERS)
        words = describe_own_media(who, content.kind, content.media[0], caption)
    elif content.kind not in _AS_WRITTEN and words.startswith(_CUSTOMER):
        words = f"[{who} {words.removeprefix(_CUSTOMER)}"
    return content.model_copy(update={"kind": MessageKind.ECHO, "text": words}), revision
