"""No words come back after an erasure: late inserts about an erased customer are blanked."""

import json
from pathlib import Path
from typing import Any

from alembic import op

revision = "0003"
down_revision = "0002"

FUNCTION = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

BLANKS: dict[str, dict[str, Any]] = {
    "messages": {"text": "", "meta": {}, "sources": [], "content_hash": "", "channel_message_id": None},
    "raw_outputs": {"text": "", "details": {}, "errors": [], "notes": [], "explanation": None},
    "actions": {"reason": "", "metadata": {}, "result": None, "digest": "", "request_hash": ""},
    "effects": {"request": {}, "result": None, "error": None, "request_hash": ""},
    "tickets": {"subject": "", "description": "", "category": None},
    "handoffs": {"reason": "", "details": {}},
    "stream_events": {"text": ""},
    "media": {"filename": None, "channel_media_id": "", "announced_sha256": None, "status": "refused"},
}


def upgrade() -> None:
    op.execute(FUNCTION)
    for table, blanks in BLANKS.items():
        _watch(table, "INSERT", blanks)
    # A part that is on its way when its customer is erased comes back with the channel's id, which tells the number.
    _watch("deliveries", "INSERT OR UPDATE", {"channel_message_id": None, "error": None, "text": "", "choices": []})


def _watch(table: str, when: str, blanks: dict[str, Any]) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_blank_if_erased BEFORE {when} ON {table} FOR EACH ROW "
        f"EXECUTE FUNCTION blank_if_erased('{json.dumps(blanks)}')"
    )
