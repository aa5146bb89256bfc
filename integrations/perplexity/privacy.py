"""What of a last message may be kept: an allow-list. Whatever upstream adds stays outside until it is listed here.

Never kept (docs/wrapper.md): `read_write_token`, `author_id`, `author_username`, `author_image`, and the Space's whole
`instructions` in `collection_info`; nor `query_str` and `text`, which repeat the customer's words.
"""

from __future__ import annotations

from typing import Any

from integrations.characters import storable

KEPT_FIELDS = (
    "account_used",
    "context_uuid",
    "display_model",
    "entry_updated_datetime",
    "mode",
    "related_queries",
    "search_focus",
    "search_implementation_mode",
    "status",
    "thread_title",
    "updated_datetime",
    "user_selected_model",
)
KEPT_OF_COLLECTION = ("uuid", "slug", "title")

_MAX_CHARACTERS = 500
_MAX_ITEMS = 20


def kept_details(message: dict[str, Any]) -> dict[str, Any]:
    """The allowed fields of *message* that have a value: strings, numbers and short lists of strings."""
    details = {name: _plain(message.get(name)) for name in KEPT_FIELDS}
    collection = message.get("collection_info")
    if isinstance(collection, dict):
        details["collection"] = {name: _plain(collection.get(name)) for name in KEPT_OF_COLLECTION}
    return {name: value for name, value in details.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)[:_MAX_CHARACTERS]
    if isinstance(value, list):
        return [storable(item)[:_MAX_CHARACTERS] for item in value[:_MAX_ITEMS] if isinstance(item, str)]
    return value if isinstance(value, bool | int | float) else None
