"""An assistant: one configured bot. Its newest stored version is in force from the next turn on."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.failures import Apology

SourceKind = Literal["web", "scholar", "social"]


class Texts(BaseModel):
    """What the assistant says when it is not the model that speaks."""

    model_config = ConfigDict(extra="forbid")

    trouble: str = Field(
        default="I'm sorry, I can't answer right now. Please try again in a few minutes.",
        min_length=1,
        max_length=1_000,
    )
    too_long: str = Field(
        default="I'm sorry, that message is too long for me. Could you send it in a shorter form?",
        min_length=1,
        max_length=1_000,
    )
    shortened: str = Field(
        default="(Your message was very long, so I read only its beginning and its end.)",
        min_length=1,
        max_length=1_000,
    )

    def apology(self, which: Apology) -> str:
        return self.too_long if which is Apology.TOO_LONG else self.trouble


class AssistantConfig(BaseModel):
    """What `agent assistant apply FILE` stores. None means: as the DEFAULT_* settings say."""

    model_config = ConfigDict(extra="forbid")

    account_name: str | None = Field(default=None, min_length=1, max_length=200)
    collection_uuid: str | None = Field(default=None, max_length=100)
    mode: Literal["auto", "pro", "reasoning", "deep research"] | None = None
    model: str | None = Field(default=None, max_length=100)
    sources: tuple[SourceKind, ...] = Field(default=("web",), min_length=1)
    language: str | None = Field(default=None, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
    texts: Texts = Field(default_factory=Texts)


class Assistant(BaseModel):
    """A name with the configuration in force. Version 0: nothing was ever stored, all is default."""

    name: str
    version: int = 0
    config: AssistantConfig = Field(default_factory=AssistantConfig)
