"""An assistant: one configured bot. Its newest stored version is in force from the next turn on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.actions import AssistantActions
from schemas.failures import Apology

SourceKind = Literal["web", "scholar", "social"]


TextOf = Annotated[str, Field(min_length=1, max_length=1_000)]


class Texts(BaseModel):
    """What the assistant says when it is not the model that speaks."""

    model_config = ConfigDict(extra="forbid")

    trouble: TextOf = Field(default="I'm sorry, I can't answer right now. Please try again in a few minutes.")
    too_long: TextOf = Field(default="I'm sorry, that message is too long for me. Could you send it in a shorter form?")
    shortened: TextOf = Field(default="(Your message was very long, so I read only its beginning and its end.)")
    reply_cut: TextOf = Field(
        default="(My answer was too long to send all of it here. Ask me for the part that you need.)",
    )
    unclear: TextOf = Field(
        default="I'm sorry, I could not work that out properly. Could you put it another way, or ask for a colleague?",
    )
    refused: TextOf = Field(default="I'm sorry, I can't do that here. Is there anything else I can help with?")
    ticket_opened: TextOf = Field(default="I have opened a ticket for you. Its number is {ticket}.")
    handed_over: TextOf = Field(default="I am passing you on to a colleague, who will answer you here.")
    closed: TextOf = Field(default="Thank you, I am closing our conversation. Write again whenever you need us.")
    action_done: TextOf = Field(default="That is done.")
    cancelled: TextOf = Field(default="All right, I have not done it.")
    expired: TextOf = Field(default="That question has expired, so I have not done anything. Please ask again.")
    dropped: TextOf = Field(
        default="That question is no longer open, and I have not done it. Please ask again if you still want it.",
    )
    replaced: TextOf = Field(
        default="I have asked you something else since, so I have set this question aside and have not done it.",
    )
    approval_asked: TextOf = Field(
        default="A colleague has to agree to this first. I will tell you as soon as they have."
    )
    declined: TextOf = Field(default="I'm sorry, my colleague did not agree to that.")
    action_failed: TextOf = Field(default="I'm sorry, that did not work. Nothing was changed.")
    partly_done: TextOf = Field(default="Part of that is done. The last step was not possible, and changed nothing.")
    partly_unknown: TextOf = Field(
        default="Part of that is done. Of the last step I could not make sure whether it went through. "
        "A colleague will check and tell you.",
    )
    action_unknown: TextOf = Field(
        default="I could not make sure whether that went through. A colleague will check and tell you.",
    )
    still_working: TextOf = Field(default="I am still working on it, one moment please.")
    unreadable: TextOf = Field(default="I'm sorry, I can't read this kind of message. Could you write it as text?")
    over_limit: TextOf = Field(
        default="You are sending messages faster than I can answer them one by one, so I answer them together.",
    )

    def of_other_effects(self, *, done: bool, unknown: bool) -> str | None:
        """What is said of a turn's other effects, where its action came to nothing; None if it has none."""
        return self.partly_done if done else self.action_unknown if unknown else None

    def of_effects(self, *, done: bool, unknown: bool) -> str | None:
        """What is said of effects alone, where nothing else is; None if there are none."""
        return self.action_done if done else self.action_unknown if unknown else None

    def apology(self, which: Apology) -> str:
        return self.too_long if which is Apology.TOO_LONG else self.trouble


AccountName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^(twilio:)?[0-9]+$")]


class Accounts(BaseModel):
    """Our own numbers whose customers talk to this assistant: phone number ids at Meta, `twilio:` and digits there."""

    model_config = ConfigDict(extra="forbid")

    whatsapp: tuple[AccountName, ...] = ()


class TemplateName(BaseModel):
    """An approved template without variables, sent where 24 hours have passed: Meta's name or Twilio's content sid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9_.-]+$")
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")


class HandoffConfig(BaseModel):
    """How conversations come back from a person."""

    model_config = ConfigDict(extra="forbid")

    answer_waiting_after_release: bool = True
    """What the customer wrote to a person who has not answered it is answered by the bot after a release."""


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
    accounts: Accounts = Field(default_factory=Accounts)
    template: TemplateName | None = None
    actions: AssistantActions = Field(default_factory=AssistantActions)
    handoff: HandoffConfig = Field(default_factory=HandoffConfig)


class Assistant(BaseModel):
    """A name with the configuration in force. Version 0: nothing was ever stored, all is default."""

    name: str
    version: int = 0
    config: AssistantConfig = Field(default_factory=AssistantConfig)
