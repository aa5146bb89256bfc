"""Inline rules of our own for markdown-it-py: which `[words](address)` is a link, which `![words](address)` a picture.

What leads nowhere stays as it is written: `20[1](含税)` is a price, a citation and a remark.
"""

from __future__ import annotations

import re

from markdown_it.helpers import parseLinkDestination, parseLinkLabel, parseLinkTitle
from markdown_it.rules_inline import StateInline, image, link

LONGEST_LABEL = 500
"""Characters in the words of a link."""
_CITED = re.compile(r"\d{1,3}", re.ASCII)
_PICTURE = re.compile(
    r"!\[(?P<words>[^\[\]]{0,500})\]\(\s*<?(?P<at>[^\s()<>]{0,2000})>?(?:\s+[\"'][^\"']{0,500}[\"'])?\s*\)"
)
_RESOURCE = re.compile(r"|[!-~]*[./:][!-~]*")


def read_picture(state: StateInline, silent: bool) -> bool:
    """Before markdown-it-py's rule: `Great![1](…)` is no picture, and one that nobody can be shown is its words."""
    if state.src[state.pos] != "!":
        return False
    found = _PICTURE.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if _CITED.fullmatch(found["words"]):
        if not silent:
            state.append_pending("!")
        state.pos += 1
        return True
    if state.md.validateLink(found["at"]) or not _RESOURCE.fullmatch(found["at"]):
        return False
    if not silent:
        state.push("text_special", "", 0).content = found["words"]
    state.pos = found.end()
    return True


def read_link(state: StateInline, silent: bool) -> bool:
    """markdown-it-py's rule, asked only where a link can be: its search for the end would cost a long text dear."""
    if state.src[state.pos] != "[":
        return False
    found = state.src.find("](", state.pos, min(state.posMax, state.pos + LONGEST_LABEL))
    return found >= 0 and link(state, silent)


def read_image(state: StateInline, silent: bool) -> bool:
    if not state.src.startswith("![", state.pos):
        return False
    found = state.src.find("](", state.pos, min(state.posMax, state.pos + LONGEST_LABEL))
    return found >= 0 and image(state, silent)


class Helpers:
    """What markdown-it-py's rules for links ask, with an end to how far they look."""

    parseLinkDestination = staticmethod(parseLinkDestination)
    parseLinkTitle = staticmethod(parseLinkTitle)

    @staticmethod
    def parseLinkLabel(state: StateInline, start: int, disableNested: bool = False) -> int:
        end, state.posMax = state.posMax, min(state.posMax, start + LONGEST_LABEL)
        try:
            return parseLinkLabel(state, start, disableNested)
        finally:
            state.posMax = end
