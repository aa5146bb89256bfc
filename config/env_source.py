"""`.env` as a source of the settings: its values are taken as they are written.

Pydantic's own source would put other variables in the place of `${…}`, between single quotes too, and a password or
key that holds one would be another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource

from config.env_file import values_in


class AsWritten(PydanticBaseSettingsSource):
    """Reads the file that *replaced* would read."""

    def __init__(self, settings_cls: type[BaseSettings], replaced: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        file = replaced.env_file if isinstance(replaced, DotEnvSettingsSource) else None
        self._written = values_in(file) if isinstance(file, Path) else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._written.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """An empty value counts as not set."""
        return {name: value for name in self.settings_cls.model_fields if (value := self._written.get(name))}
