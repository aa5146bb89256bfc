"""The actions that an assistant's version declares, for whoever shows what was asked for under it."""

from __future__ import annotations

from typing import Any

from actions.registry import Registry
from storage.configurations import Configurations
from storage.database import Database


class Registries:
    """Made once a version; a version never changes."""

    def __init__(self, database: Database) -> None:
        self._configurations = Configurations(database)
        self._made: dict[tuple[str, int], Registry] = {}

    async def at(self, assistant: str, version: int | None) -> Registry:
        """The registry of *assistant* at *version*; None: of all defaults."""
        key = (assistant, version or 0)
        if key not in self._made:
            stored = await self._configurations.at(assistant, version)
            self._made[key] = Registry(stored.config.actions)
        return self._made[key]

    async def language_of(self, assistant: str, version: int | None, otherwise: str) -> str:
        """Of the words around a question."""
        return (await self._configurations.at(assistant, version)).config.language or otherwise

    async def shown(self, action: dict[str, Any]) -> dict[str, Any]:
        """*action* (`action`, `metadata`, …) without what is sensitive in its metadata, as the definition says that it
        was accepted under: `assistant` and `version` of that one are taken out."""
        action = dict(action)
        registry = await self.at(action.pop("assistant"), action.pop("version"))
        return {**action, "metadata": registry.shown_metadata(action["action"], action["metadata"])}
