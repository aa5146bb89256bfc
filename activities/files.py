"""Keeps the files that customers send: downloaded within limits, stored under their hash, never opened."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

from temporalio import activity

from activities.heartbeat import Beat, beating
from config.logs import get_logger
from config.settings import Settings
from integrations.channels.failures import MediaFailed, MediaFailureKind
from integrations.channels.port import Channel, MediaRef
from schemas.conversations import FetchFiles
from storage.database import StorageUnavailable
from storage.media import DueFile, Media
from storage.media_files import folder_of, write

log = get_logger(__name__)

_AT_ONCE = 20
_PAUSE_SECONDS = 30.0
_PASSING = {MediaFailureKind.EXPIRED, MediaFailureKind.TRANSIENT, MediaFailureKind.OURS}
"""Problems that another try may find gone; the rest is refused for good."""


class FileActivities:
    """*channels*: who fetches for which channel."""

    def __init__(self, media: Media, channels: Mapping[str, Channel], settings: Settings, beat: Beat) -> None:
        self._media = media
        self._channels = channels
        self._settings = settings
        self._beat = beat
        self._folder = folder_of(settings)
        self._attempts = settings.media_attempts

    @activity.defn
    async def fetch(self, request: FetchFiles) -> None:
        """Fetches all that is due in a conversation; what cannot be had now, the sweep tries again. Safe to repeat."""
        async with beating(self._beat, self._settings.turn_heartbeat_seconds / 3):
            while await self.fetch_due(conversation_id=request.conversation_id):
                pass

    async def fetch_due(self, *, conversation_id: UUID | None = None, after_seconds: float = 0) -> int:
        """Fetches what is due, and says how many were tried. Trouble with one does not stop the others."""
        tried = 0
        due = await self._media.due(
            _AT_ONCE, conversation_id=conversation_id, after_seconds=after_seconds, pause_seconds=_PAUSE_SECONDS
        )
        for file in due:
            try:
                tried += await self._fetch(file)
            except StorageUnavailable as trouble:
                log.warning("file_not_kept", media_id=str(file.id), why=str(trouble)[:200])
        return tried

    async def _fetch(self, file: DueFile) -> bool:
        """False if nobody can fetch for its channel."""
        channel = self._channels.get(file.channel)
        if channel is None:
            return False
        reference = MediaRef(
            id=file.channel_media_id, mime_type=file.mime_type, sha256=file.announced_sha256, filename=file.filename
        )
        try:
            fetched = await channel.download(file.account, reference)
        except MediaFailed as failed:
            await self._failed(file, str(failed), passing=failed.problem in _PASSING)
            return True
        try:
            await asyncio.to_thread(write, self._folder, fetched.sha256, fetched.content)
        except OSError as error:
            await self._failed(file, f"MEDIA_DIR cannot be written to ({error.strerror or error})", passing=True)
            return True
        size = len(fetched.content)
        await self._media.kept(file, sha256=fetched.sha256, size=size, mime_type=fetched.mime_type)
        return True

    async def _failed(self, file: DueFile, why: str, *, passing: bool) -> None:
        """What has failed for good is never fetched, and staff are told."""
        final = not passing or file.attempts + 1 >= self._attempts
        log.warning("file_not_fetched", media_id=str(file.id), why=why, final=final)
        await self._media.failed(file, why[:500], final=final)
