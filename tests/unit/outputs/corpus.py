"""The labelled outputs of `outputs/`, and the registry they are read with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from actions.registry import Registry
from schemas.actions import BUILT_IN_NAMES, ActionDefinition, AssistantActions, Endpoint
from schemas.turns import Verdict

FOLDER = Path(__file__).parent
REFUND_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string", "pattern": "^[A-Z]-[0-9]{1,8}$", "maxLength": 20},
        "amount": {"type": "number", "minimum": 0, "maximum": 10_000},
    },
    "required": ["order"],
    "additionalProperties": False,
}
WEATHER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Za-z ]+$", "maxLength": 40}},
    "required": ["city"],
}
CONFIG = AssistantActions(
    enabled=(*BUILT_IN_NAMES, "refund_order"),
    custom=(
        ActionDefinition(
            name="refund_order",
            description="Pays an order back.",
            metadata_schema=REFUND_SCHEMA,
            handler="webhook",
            safe=True,
            safe_because="a test",
        ),
        ActionDefinition(
            name="close_account", description="Off.", metadata_schema={"type": "object"}, handler="webhook"
        ),
    ),
    endpoints=(
        Endpoint(
            name="weather",
            description="Today's weather.",
            url="https://weather.example/v1/{city}",
            params_schema=WEATHER_SCHEMA,
            example={"city": "Ipoh"},
        ),
    ),
)
REGISTRY = Registry(CONFIG)


class Labelled(BaseModel):
    """See `outputs/README.md`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    verdict: Verdict
    lenient: Verdict | None = None
    output: str | None = None
    repeat: dict[str, Any] | None = None
    file: str | None = None
    paths: list[str] | None = None
    notes: str | None = None
    source: str

    @property
    def raw(self) -> str:
        if self.file is not None:
            return (FOLDER / self.file).read_text("utf-8")
        if self.repeat is not None:
            return str(self.repeat["before"] + self.repeat["piece"] * self.repeat["times"] + self.repeat["after"])
        assert self.output is not None
        return self.output


def labelled_outputs() -> list[Labelled]:
    return [
        Labelled(source=path.stem, **entry)
        for path in sorted(FOLDER.glob("*.yaml"))
        for entry in yaml.safe_load(path.read_text("utf-8"))
    ]
