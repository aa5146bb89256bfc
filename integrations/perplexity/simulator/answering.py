"""One call of query_sync or query_async, start to end: recorded, refused or answered, planned."""

from __future__ import annotations

import logging
from collections import deque

from integrations.perplexity.simulator.directives import (
    NO_TURN,
    NOT_ASKED,
    Directive,
    DirectiveError,
    Fault,
    directives_in,
    without_directives,
)
from integrations.perplexity.simulator.later_steps import asked_repair, is_later_step, told_result
from integrations.perplexity.simulator.planning import Planner
from integrations.perplexity.simulator.playing import Plan
from integrations.perplexity.simulator.script import (
    INSTRUCTIONS_MARK,
    ScriptedReply,
    ScriptedSource,
    customer_words,
    load_script,
    repaired_reply,
    scripted_reply,
)
from integrations.perplexity.simulator.shapes import Form, Said, messages_of
from integrations.perplexity.simulator.threads import Asking, PastTurn, Threads

log = logging.getLogger("simulator")

_FORMS: dict[Fault | None, Form] = {
    Fault.IN_PROGRESS_FRAMES: Form.WHOLE_BLOCKS,
    Fault.WORKFLOW: Form.WORKFLOW,
    Fault.PLAIN_TEXT: Form.PLAIN_TEXT,
    Fault.UNKNOWN_SHAPE: Form.UNKNOWN,
}

UNKNOWN_ACCOUNT = "unknown"
"""Accounts whose names begin so do not exist; every other name does."""

_MODELS: dict[str, frozenset[str]] = {
    "auto": frozenset(),
    "pro": frozenset({"sonar", "gpt-5.1", "gemini-3-pro", "grok-4.1", "gemini-3-flash"}),
    "reasoning": frozenset({"r1", "o3-mini", "claude 3.7 sonnet"}),
    "deep research": frozenset(),
}
_SOURCES = frozenset({"web", "scholar", "social"})


class Answering:
    """Answers questions from the script, as directives want it."""

    def __init__(self, threads: Threads, pace: float) -> None:
        self.pace = pace
        self.queued: deque[Directive] = deque()
        self._threads = threads
        self._script = load_script()

    def answer(self, asking: Asking, *, mode: str, model: str | None, sources: str) -> Plan:
        """The response to send. Whatever happens is planned here, before the first byte."""
        planner = Planner(asking.way == "async", asking.answer_only, asking.account_name, self.pace)
        try:
            directive = self._directive_for(asking)
        except DirectiveError as error:
            return planner.error(f"[[sim: …]] is wrong: {error}")
        refused = _refusal(asking, mode, model, sources) or self._refused_thread(asking)
        asked = not refused and directive.fail not in NOT_ASKED
        self._threads.record(asking, asked=asked, fault=directive.fail)
        log.info(
            "SIMULATOR %s thread=%s asked=%s fault=%s", asking.way, asking.frontend_context_uuid, asked, directive.fail
        )
        if refused:
            return planner.error(refused)
        # The turn is kept before it is told: a caller that leaves does not stop the question.
        said = None if directive.fail in NO_TURN else self._say(asking, directive, mode)
        plan = planner.proxied(directive) or planner.unanswered(directive)
        if plan is None:
            assert said
            plan = planner.answered(messages_of(said), directive)
        return plan

    def _directive_for(self, asking: Asking) -> Directive:
        """A queued one, else the first in the text that still holds, else none."""
        if self.queued:
            return self.queued.popleft()
        before = self._threads.times_asked(asking)
        for directive in directives_in(asking.text):
            if directive.times is None or before < directive.times:
                return directive
            before -= directive.times
        return Directive()

    def _refused_thread(self, asking: Asking) -> str | None:
        if asking.backend_uuid is None or self._threads.knows(asking.backend_uuid):
            return None
        return "HTTP Error 400: Bad Request"

    def _say(self, asking: Asking, directive: Directive, mode: str) -> Said:
        context = self._threads.thread_of(asking)
        words, history = without_directives(customer_words(asking.text)), self._threads.history(context)
        if history and is_later_step(asking.text):
            words, history = history[-1].question, history[:-1]  # of the same turn
        reply = self._reply(asking, directive, words, history)
        backend_uuid, slug = self._threads.add_turn(asking, context, PastTurn(words, reply.text, reply.topic))
        return Said(
            question=words,
            text=reply.text,
            sources=reply.sources,
            backend_uuid=backend_uuid,
            context_uuid=context,
            slug=slug,
            mode=mode,
            collection_uuid=asking.collection_uuid,
            form=_FORMS.get(directive.fail, Form.PATCHES),
        )

    def _reply(self, asking: Asking, directive: Directive, words: str, history: list[PastTurn]) -> ScriptedReply:
        if directive.fail is Fault.HUGE:
            return ScriptedReply(text="x" * directive.bytes)
        if directive.reply is not None:
            text = "\n\n".join([directive.reply] * directive.repeat)
            return ScriptedReply(text=text, sources=_cited(directive.reply))
        if (told_of := told_result(asking.text)) is not None:
            return ScriptedReply(text=told_of)
        if (repair := asked_repair(asking.text)) is not None:
            return repaired_reply(self._script, repair, words, history)
        # Instructions once said hold for the thread; the Space's own are known to upstream.
        told = asking.collection_uuid is not None or INSTRUCTIONS_MARK in asking.text or self._told_before(asking)
        return scripted_reply(self._script, words, history, may_act=told)

    def _told_before(self, asking: Asking) -> bool:
        thread = asking.frontend_context_uuid
        return thread is not None and any(INSTRUCTIONS_MARK in q["text"] for q in self._threads.questions(thread))


def _refusal(asking: Asking, mode: str, model: str | None, sources: str) -> str | None:
    """The wrapper's own checks, with its own words."""
    if asking.account_name.startswith(UNKNOWN_ACCOUNT):
        return f"404: Account '{asking.account_name}' not found"
    effective = "pro" if mode == "auto" and model not in (None, "auto") else mode
    if effective not in _MODELS:
        return "Invalid search mode."
    if model is not None and model not in _MODELS[effective]:
        return "Invalid model for the selected mode."
    if not {source.strip() for source in sources.split(",")} <= _SOURCES:
        return "Invalid sources."
    return None


def _cited(text: str) -> list[ScriptedSource]:
    """Pages for the citations that a dictated reply makes."""
    numbers = [n for n in range(1, 10) if f"[{n}]" in text]
    return [
        ScriptedSource(name=f"Simulated page {n}", url=f"https://pages.example/{n}")
        for n in range(1, max(numbers, default=0) + 1)
    ]
