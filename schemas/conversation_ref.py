"""What must be known of a conversation to wake it."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel


class ConversationRef(BaseModel):
    """`seq` is the newest stored message, 0 if the conversation is woken for another reason.

    `files`: files came with it, which are to be fetched at once.
    """

    conversation_id: UUID
    workflow_id: str
    channel: str
    assistant: str
    seq: int = 0
    files: bool = False
