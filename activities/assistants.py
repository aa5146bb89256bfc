"""An assistant ready for work: its configuration, its registry of actions, its prompt pack; made once a version."""

from __future__ import annotations

from dataclasses import dataclass

from actions.limits import ReadingLimits
from actions.prompt_pack import PromptPack, prompt_pack
from actions.registry import Registry
from config.settings import Settings
from schemas.assistants import Assistant, Texts
from storage.configurations import Configurations


@dataclass(frozen=True)
class LoadedAssistant:
    """What an assistant's configuration amounts to."""

    stored: Assistant
    registry: Registry
    pack: PromptPack
    limits: ReadingLimits
    language: str
    """Of the words around a question, and on its buttons."""

    @property
    def texts(self) -> Texts:
        return self.stored.config.texts


class AssistantCache:
    """Assistants by name and version; a version never changes, so each is made once a process."""

    def __init__(self, configurations: Configurations, settings: Settings) -> None:
        self._configurations = configurations
        self._settings = settings
        self._made: dict[tuple[str, int], LoadedAssistant] = {}

    async def at(self, name: str, version: int | None) -> LoadedAssistant:
        """The assistant *name* at *version*, None for all defaults."""
        key = (name, version or 0)
        if key not in self._made:
            self._made[key] = load_assistant(await self._configurations.at(name, version), self._settings)
        return self._made[key]


def load_assistant(assistant: Assistant, settings: Settings) -> LoadedAssistant:
    """Raises ValueError if the actions leave no room for a prompt pack; that is checked when they are saved."""
    registry = Registry(assistant.config.actions)
    limits = ReadingLimits(
        output_characters=settings.output_max_characters,
        object_characters=settings.action_max_characters,
        depth=settings.action_max_depth,
    )
    language = assistant.config.language or settings.default_language
    return LoadedAssistant(assistant, registry, prompt_pack(registry, settings.prompt_pack_bytes), limits, language)
