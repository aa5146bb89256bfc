"""Which scripted reply a question gets. The words themselves are in `script.yaml`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from actions.untrusted import without_marks
from integrations.perplexity.simulator.later_steps import AskedRepair
from integrations.perplexity.simulator.threads import PastTurn

INSTRUCTIONS_MARK = "ACTIONS YOU MAY REQUEST"
"""Part of the prompt pack. Only a model that was told of actions writes them."""

_ORDER = re.compile(r"(?<![\w-])(?=[\w-]*\d{3})#?([A-Z]{0,4}-?\d{3,12})(?![\w-])", re.IGNORECASE)
_TICKET = re.compile(r"(?<![\w-])([A-Z]{1,6}-\d{1,10})(?![\w-])", re.IGNORECASE)
_QUOTE_CHARACTERS = 120


class ScriptedSource(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    url: str
    snippet: str = ""


class Wording(BaseModel):
    """One topic in one language: regular expressions that call it, and what is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: list[str]
    says: str
    asks: str | None = None
    """Said instead while something the topic needs is missing."""


class Topic(BaseModel):
    """See the head of `script.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    needs: str | None = None
    action: dict[str, Any] | None = None
    fenced: bool = False
    sources: list[ScriptedSource] = []
    languages: dict[str, Wording]


class Script(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    topics: list[Topic]
    otherwise: Topic


class ScriptedReply(BaseModel):
    """What the model says, with the citations of the last message. `topic` ends in `?` while it waits for something."""

    text: str
    topic: str = ""
    sources: list[ScriptedSource] = []


def load_script() -> Script:
    return Script.model_validate(yaml.safe_load(Path(__file__).with_name("script.yaml").read_text("utf-8")))


def customer_words(question: str) -> str:
    """The customer's part of a question: without the prompt pack in front and the marks around."""
    return without_marks(question)


def scripted_reply(script: Script, words: str, history: list[PastTurn], *, may_act: bool) -> ScriptedReply:
    """The reply to the customer's *words* after *history*; a JSON action only if the model *may act*."""
    topic, language = _found(script, words, history)
    wording = topic.languages[language]
    facts = _facts(words, history)
    if topic.needs and not facts[topic.needs]:
        return ScriptedReply(text=wording.asks or wording.says, topic=f"{topic.name}/{language}?")
    if topic.action and may_act:
        text = _as_model_writes(_filled(topic.action, facts), fenced=topic.fenced)
    else:
        text = wording.says.format_map(facts).strip()
    return ScriptedReply(text=text, topic=f"{topic.name}/{language}", sources=topic.sources)


def repaired_reply(script: Script, repair: AskedRepair, words: str, history: list[PastTurn]) -> ScriptedReply:
    """The action of *repair* with what was wrong or missing taken from the script; else the reply to *words*."""
    topic = next((each for each in script.topics if each.action and each.action["action"] == repair.action), None)
    if topic is None or topic.action is None:
        return scripted_reply(script, words, history, may_act=True)
    scripted = _from_the_script(topic.action["metadata"], topic.needs, _facts(words, history))
    sound = {name: value for name, value in repair.sound.items() if name in topic.action["metadata"]}
    action = {**topic.action, "metadata": {**scripted, **sound}}
    return ScriptedReply(text=_as_model_writes(action, fenced=topic.fenced), topic=topic.name)


def _from_the_script(templates: dict[str, str], needs: str | None, facts: Mapping[str, str]) -> dict[str, str]:
    """Fields of an action; those that speak of what is needed, and was not said, hold the customer's words."""
    unknown = f"{{{needs}}}" if needs and not facts[needs] else None
    filled = {
        name: facts["words"] if unknown and unknown in template else template.format_map(facts)
        for name, template in templates.items()
    }
    return {name: value for name, value in filled.items() if value}


def _found(script: Script, words: str, history: list[PastTurn]) -> tuple[Topic, str]:
    for topic in script.topics:
        for language, wording in topic.languages.items():
            if _called(wording, words):
                return topic, language
    if history and history[-1].topic.endswith("?") and _ORDER.search(words):
        name, _, language = history[-1].topic.rstrip("?").partition("/")
        return next(topic for topic in script.topics if topic.name == name), language
    languages = script.otherwise.languages
    return script.otherwise, next((name for name, wording in languages.items() if _called(wording, words)), "en")


def _called(wording: Wording, words: str) -> bool:
    return any(re.search(pattern, words, re.IGNORECASE) for pattern in wording.when)


def _facts(words: str, history: list[PastTurn]) -> Mapping[str, str]:
    order, ticket = _ORDER.search(words), _TICKET.search(words)
    return {
        "words": _quoted(words),
        "first": _quoted(history[0].question) if history else _quoted(words),
        "previous": _quoted(history[-1].question) if history else "",
        "count": str(len(history) + 1),
        "order": order.group(1).upper() if order else "",
        "ticket": ticket.group(1).upper() if ticket else "",
    }


def _quoted(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= _QUOTE_CHARACTERS else line[: _QUOTE_CHARACTERS - 1] + "…"


def _filled(value: Any, facts: Mapping[str, str]) -> Any:
    """Placeholders replaced; fields that come to nothing are left out, as a model leaves out what it does not know."""
    if isinstance(value, str):
        return value.format_map(facts)
    if isinstance(value, dict):
        filled = {name: _filled(item, facts) for name, item in value.items()}
        return {name: item for name, item in filled.items() if item != ""}
    return value


def _as_model_writes(action: dict[str, Any], *, fenced: bool) -> str:
    text = json.dumps(action, ensure_ascii=False, indent=2 if fenced else None)
    return f"```json\n{text}\n```" if fenced else text
