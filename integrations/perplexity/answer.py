"""Folded messages → the accepted Answer, or why there is none. Last step of reading an answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from integrations.characters import storable
from integrations.perplexity.failures import short
from integrations.perplexity.marks import blocks_of, shape_of
from integrations.perplexity.messages import MessagesSoFar
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt
from integrations.perplexity.privacy import kept_details
from schemas.failures import ModelFailureKind
from schemas.turns import Source

_MAX_TITLE = 300


def accepted_answer(messages: MessagesSoFar, prompt: ModelPrompt) -> Answer:
    """The answer in our words. Raises AskFailed: what upstream marked instead of one, UNKNOWN_SHAPE if nobody can read
    what came, NO_ANSWER if none was accepted, MALFORMED if it has no id."""
    if messages.accepted is None:
        raise _none(messages)
    backend_uuid = messages.backend_uuid or prompt.backend_uuid
    if not backend_uuid:
        raise AskFailed(ModelFailureKind.MALFORMED, "the answer has no backend_uuid, so the thread could not go on")
    slug = messages.last.get("thread_url_slug")
    return Answer(
        text=storable(messages.accepted),
        sources=sources_of(messages.web_results()),
        backend_uuid=storable(backend_uuid),
        # The wrapper leaves it out with answer_only=true; it is ours anyway: we made it and send it every turn.
        frontend_context_uuid=prompt.frontend_context_uuid,
        thread_url_slug=storable(slug) if isinstance(slug, str) else None,
        details=kept_details(messages.last),
    )


def _none(messages: MessagesSoFar) -> AskFailed:
    if messages.refusal is not None:
        return AskFailed(messages.refusal.kind, messages.refusal.why, said=short(messages.refusal.said))
    if messages.unknown is not None:
        return unknown_shape(messages.unknown)
    return AskFailed(ModelFailureKind.NO_ANSWER, "the answer never came to be complete")


def unknown_shape(message: dict[str, Any]) -> AskFailed:
    """For what nobody here can read: its names, and no words."""
    why = f"a shape nobody knows: {shape_of(message)}"
    return AskFailed(ModelFailureKind.UNKNOWN_SHAPE, why, blocks=blocks_of(message))


def sources_of(web_results: list[Any]) -> tuple[Source, ...]:
    """Every page with a web address, numbered by its place, so that `[n]` finds it also after a gap."""
    return tuple(
        Source(n=n, title=_title(result), url=result["url"])
        for n, result in enumerate(web_results, start=1)
        if isinstance(result, dict) and _is_web_address(result.get("url"))
    )


def _title(result: dict[str, Any]) -> str:
    name = result.get("name")
    title = storable(name).strip() if isinstance(name, str) else ""
    return (title or urlsplit(result["url"]).netloc)[:_MAX_TITLE]


def _is_web_address(url: Any) -> bool:
    """Only http and https: a `javascript:` or `file:` address must never become a link."""
    if not isinstance(url, str) or any(character.isspace() or not character.isprintable() for character in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
