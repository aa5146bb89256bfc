"""What one message of the Cloud API says: its kind, and its content as text that the model can read.

Source: Meta, "Webhooks reference, messages" (one page a type), read 2026-11. A type, or a shape, that is not known
becomes `unknown` and is kept as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from integrations.channels.port import MediaRef
from integrations.whatsapp.descriptions import MEDIA_WORDS, TEXT_CHARACTERS, UNREADABLE, describe_media
from integrations.whatsapp.reading import file_name, line, mapping, number, objects, text
from schemas.messages import MessageKind

_LISTED = 20


class Content(BaseModel):
    """See the fields of the same names in `InboundMessage`."""

    model_config = ConfigDict(frozen=True)

    kind: MessageKind
    text: str = ""
    choice_id: str | None = None
    concerns: str | None = None
    media: list[MediaRef] = Field(default_factory=list)


_UNKNOWN = Content(kind=MessageKind.UNKNOWN, text=UNREADABLE)


def read_content(message: dict[str, Any], nested: bool = False) -> Content:
    """The content of *message*; never raises. Only an edit holds another message, and that holds no edit."""
    kind = message.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None or (nested and kind in {"edit", "revoke", "system"}):
        return _UNKNOWN
    content = reader(message) or _UNKNOWN
    came_from = _referral(message)
    return content.model_copy(update={"text": f"{content.text}\n{came_from}".strip()}) if came_from else content


def _text(message: dict[str, Any]) -> Content | None:
    body = text(mapping(message, "text").get("body"), most=TEXT_CHARACTERS)
    if body is None:
        return None
    product = line(mapping(message, "context", "referred_product").get("product_retailer_id"))
    about = f"\n[The customer asks about the product {product}.]" if product else ""
    return Content(kind=MessageKind.TEXT, text=body + about)


def _button(message: dict[str, Any]) -> Content | None:
    button = mapping(message, "button")
    label = text(button.get("text"))
    return Content(kind=MessageKind.BUTTON, text=label, choice_id=text(button.get("payload"))) if label else None


def _interactive(message: dict[str, Any]) -> Content | None:
    interactive = mapping(message, "interactive")
    button, row = mapping(interactive, "button_reply"), mapping(interactive, "list_reply")
    form = mapping(interactive, "nfm_reply")
    if form:
        answers = text(form.get("response_json"), most=TEXT_CHARACTERS) or text(form.get("body")) or ""
        return Content(kind=MessageKind.FORM, text=f"[The customer filled in a form.] {answers}".strip())
    kind, chosen = (MessageKind.BUTTON, button) if button else (MessageKind.LIST, row)
    title = text(chosen.get("title"))
    if title is None:
        return None
    more = text(chosen.get("description"))
    return Content(kind=kind, text=f"{title} ({more})" if more else title, choice_id=text(chosen.get("id")))


def _reaction(message: dict[str, Any]) -> Content | None:
    reaction = mapping(message, "reaction")
    emoji = line(reaction.get("emoji"), most=50)
    words = f"[The customer reacted with {emoji} to a message.]" if emoji else "[The customer took a reaction back.]"
    concerns = text(reaction.get("message_id"))
    return Content(kind=MessageKind.REACTION, text=words, concerns=concerns) if concerns else None


def _media(kind: MessageKind) -> Callable[[dict[str, Any]], Content | None]:
    def read(message: dict[str, Any]) -> Content | None:
        file = mapping(message, kind.value)
        media_id = text(file.get("id"), most=500)
        if media_id is None:
            return None
        media = MediaRef(
            id=media_id,
            mime_type=line(file.get("mime_type"), most=200) or "application/octet-stream",
            sha256=text(file.get("sha256"), most=100),
            filename=file_name(file.get("filename")),
            voice=file.get("voice") is True,
        )
        words = describe_media(kind, media, text(file.get("caption"), most=TEXT_CHARACTERS))
        return Content(kind=kind, text=words, media=[media])

    return read


def _location(message: dict[str, Any]) -> Content | None:
    place = mapping(message, "location")
    latitude, longitude = place.get("latitude"), place.get("longitude")
    if not all(isinstance(each, int | float | str) for each in (latitude, longitude)):
        return None
    where = f"{str(latitude)[:20]}, {str(longitude)[:20]}"
    named = ", ".join(filter(None, (line(place.get("name")), line(place.get("address")))))
    return Content(
        kind=MessageKind.LOCATION, text=f"[The customer sent a location: {named + ', ' if named else ''}{where}]"
    )


def _contacts(message: dict[str, Any]) -> Content | None:
    people = []
    for contact in list(objects(message.get("contacts")))[:_LISTED]:
        name = line(mapping(contact, "name").get("formatted_name")) or "no name"
        numbers = ", ".join(filter(None, (line(each.get("phone")) for each in objects(contact.get("phones")))))
        people.append(f"{name} ({numbers})" if numbers else name)
    if not people:
        return None
    return Content(kind=MessageKind.CONTACTS, text=f"[The customer sent contacts: {'; '.join(people)}]")


def _order(message: dict[str, Any]) -> Content | None:
    order = mapping(message, "order")
    lines = [
        f"{number(item.get('quantity')) or 1} × {line(item.get('product_retailer_id')) or 'a product'}"
        f" at {str(item.get('item_price'))[:30]} {line(item.get('currency')) or ''}".rstrip()
        for item in list(objects(order.get("product_items")))[:_LISTED]
    ]
    if not lines:
        return None
    note = text(order.get("text"), most=TEXT_CHARACTERS)
    words = f"[The customer sent an order: {'; '.join(lines)}]"
    return Content(kind=MessageKind.ORDER, text=f"{words}\n{note}" if note else words)


def _unsupported(message: dict[str, Any]) -> Content:
    words = "[The customer sent a kind of message that WhatsApp does not pass on.]"
    return Content(kind=MessageKind.UNSUPPORTED, text=words)


def _welcome(message: dict[str, Any]) -> Content:
    return Content(kind=MessageKind.WELCOME, text="[The customer opened the chat for the first time.]")


def _system(message: dict[str, Any]) -> Content:
    said = line(mapping(message, "system").get("body"), most=1_000)
    return Content(kind=MessageKind.SYSTEM, text=f"[WhatsApp: {said or 'the customer’s account changed'}]")


def _edit(message: dict[str, Any]) -> Content | None:
    edit = mapping(message, "edit")
    original = text(edit.get("original_message_id"))
    if original is None:
        return None
    now = read_content(mapping(edit, "message"), nested=True)
    return Content(kind=MessageKind.EDIT, text=now.text, concerns=original, media=now.media)


def _revoke(message: dict[str, Any]) -> Content | None:
    original = text(mapping(message, "revoke").get("original_message_id"))
    words = "[The customer deleted a message.]"
    return Content(kind=MessageKind.DELETE, text=words, concerns=original) if original else None


def _referral(message: dict[str, Any]) -> str | None:
    referral = mapping(message, "referral")
    advert = line(referral.get("headline")) or line(referral.get("body")) or line(referral.get("source_url"))
    return f"[The customer came from the advertisement “{advert}”.]" if advert else None


_READERS: dict[str, Callable[[dict[str, Any]], Content | None]] = {
    "text": _text,
    "button": _button,
    "interactive": _interactive,
    "reaction": _reaction,
    "location": _location,
    "contacts": _contacts,
    "order": _order,
    "unsupported": _unsupported,
    "request_welcome": _welcome,
    "system": _system,
    "edit": _edit,
    "revoke": _revoke,
    **{kind.value: _media(kind) for kind in MEDIA_WORDS},
}
