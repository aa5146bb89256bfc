"""The question that a confirmation asks: in plain words what would be done, and with which values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from actions.folding import without_invisible
from schemas.actions import ActionDefinition, ActionRequest

VALUE_CHARACTERS = 300
MAX_VALUES = 20


class QuestionWords(BaseModel):
    """One language's words. `asks` has `{what}`; `plain` may say an action's words instead of its definition's."""

    model_config = ConfigDict(frozen=True)

    asks: str
    answer: str
    yes: str
    no: str
    plain: dict[str, str] = {}


_WORDS = {
    "en": QuestionWords(asks="Shall I {what}?", answer="Please answer yes or no.", yes="Yes", no="No"),
    "ms": QuestionWords(
        asks="Perlukah saya lakukan ini: {what}?", answer="Sila jawab ya atau tidak.", yes="Ya", no="Tidak"
    ),
    "id": QuestionWords(
        asks="Apakah saya boleh melakukan ini: {what}?", answer="Mohon jawab ya atau tidak.", yes="Ya", no="Tidak"
    ),
    "zh": QuestionWords(asks="需要我执行这项操作吗：{what}？", answer="请回复“是”或“不”。", yes="是", no="不"),
    "es": QuestionWords(asks="¿Quiere que haga esto: {what}?", answer="Responda sí o no.", yes="Sí", no="No"),
    "pt": QuestionWords(asks="Devo fazer isto: {what}?", answer="Responda sim ou não.", yes="Sim", no="Não"),
    "fr": QuestionWords(asks="Dois-je faire ceci : {what} ?", answer="Répondez oui ou non.", yes="Oui", no="Non"),
    "de": QuestionWords(
        asks="Soll ich das tun: {what}?", answer="Bitte antworten Sie mit ja oder nein.", yes="Ja", no="Nein"
    ),
    "ar": QuestionWords(asks="هل أقوم بهذا: {what}؟", answer="يرجى الإجابة بنعم أو لا.", yes="نعم", no="لا"),
    "hi": QuestionWords(asks="क्या मैं यह करूँ: {what}?", answer="कृपया हाँ या नहीं में उत्तर दें।", yes="हाँ", no="नहीं"),
}
_PLAIN: dict[str, dict[str, str]] = {
    "ms": {"create_ticket": "buka tiket", "close_conversation": "tutup perbualan ini"},
    "id": {"create_ticket": "membuka tiket", "close_conversation": "menutup percakapan ini"},
    "zh": {"create_ticket": "创建工单", "close_conversation": "结束本次对话"},
    "es": {"create_ticket": "abrir un ticket", "close_conversation": "cerrar esta conversación"},
    "pt": {"create_ticket": "abrir um chamado", "close_conversation": "encerrar esta conversa"},
    "fr": {"create_ticket": "ouvrir un ticket", "close_conversation": "clore cette conversation"},
    "de": {"create_ticket": "ein Ticket eröffnen", "close_conversation": "dieses Gespräch beenden"},
    "ar": {"create_ticket": "فتح تذكرة", "close_conversation": "إغلاق هذه المحادثة"},
    "hi": {"create_ticket": "टिकट खोलना", "close_conversation": "यह बातचीत समाप्त करना"},
}


def words_for(language: str) -> QuestionWords:
    """The words of *language* (`de`, `de-AT`); English for one we do not have."""
    return _WORDS.get(language.partition("-")[0].lower(), _WORDS["en"])


def question_text(definition: ActionDefinition, request: ActionRequest, language: str = "en") -> str:
    """What the customer, or staff, is asked. Every value is shown; a long one is cut with a mark."""
    words = words_for(language)
    what = _PLAIN.get(language.partition("-")[0].lower(), {}).get(definition.name) or definition.plain
    lines = [words.asks.format(what=what or _title(definition.name)), *_values(definition, request.metadata)]
    return "\n".join([*lines, words.answer])


def _values(definition: ActionDefinition, metadata: dict[str, Any]) -> list[str]:
    flat = list(_flat(metadata))
    lines = [f"• {name}: {_shown(value)}" for name, value in flat[:MAX_VALUES]]
    return lines if len(flat) <= MAX_VALUES else [*lines, f"• … (+{len(flat) - MAX_VALUES})"]


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Leaves with a readable name: `params › city`."""
    if isinstance(value, dict) and value:
        pairs = [(_title(str(key)), item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        pairs = [(str(number), item) for number, item in enumerate(value, 1)]
    else:
        return [(name, value)] if name else []
    return [leaf for key, item in pairs for leaf in _flat(item, f"{name} › {key}" if name else key)]


def _title(name: str) -> str:
    return without_invisible(" ".join(name.replace("_", " ").split()))


def _shown(value: Any) -> str:
    """One line, without invisible characters: what is confirmed is what is read."""
    text = "–" if value is None or value == "" else str(value)
    line = " ".join(without_invisible(text).split())
    return line if len(line) <= VALUE_CHARACTERS else line[: VALUE_CHARACTERS - 1] + "…"
