"""The schema of the whole product, as SQLAlchemy sees it; `migrations/` makes it. Functions: `sql/`.

One conversation is the spine: `messages` (in and out) hang on it with a sequence number, `turns` answer ranges of
those numbers, `raw_outputs` keep what the model really wrote, `effects` is the ledger of everything visible outside.
"""

from __future__ import annotations

from storage.tables import alarms, channels, conversations, people, texts, turns
from storage.tables.columns import metadata

__all__ = ["alarms", "channels", "conversations", "metadata", "people", "texts", "turns"]
