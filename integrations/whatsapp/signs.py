r"""Inline rules of our own for markdown-it-py: addresses, backslashes, mathematics and tags.

An address is one token whatever signs are in it. A backslash is a backslash, but before a mark that would format. Tags
of HTML are tokens, so that what is written as `&lt;b&gt;` stays to be read.
"""

from __future__ import annotations

import re

from markdown_it.rules_inline import StateInline

from actions.wordless import TAG
from integrations.whatsapp.mathematics import in_plain_signs

_STOPS = "".join(map(re.escape, "\n!#$%&*+-:<=>@[\\]^_`{}~"))
STOP = re.compile(rf"[{_STOPS}]|(?<![A-Za-z0-9])(?:[a-z][a-z0-9]{{1,19}}://|www\.)", re.IGNORECASE)
"""Where markdown-it-py's rule for text stops: its own signs, and the beginning of an address."""
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9]{1,19}://|www\.)(?=[^\W_])(?:(?!\*\*)[^\s<>\[\]`|。，、：；！？（）「」『』【】《》“”‘’])+", re.I
)
_AFTER_ADDRESS = ".,;:!?'\"*”’»…،؛؟।"
_MARKS = re.compile(r"[_~]+\Z")
_PATH = re.compile(r"(?<![A-Za-z])[A-Za-z]:\\|\\\\[A-Za-z0-9]")
_BETWEEN_NAMES = re.compile(r"\\[A-Za-z0-9]")
_SPACE = re.compile(r"\s")
_WORD_LENGTH = 300
_MATHEMATICS_LENGTH = 2_000
_COMMAND = re.compile(r"\\[A-Za-z]|[\^_]\{")
_PROSE = re.compile(r"[^\d=+*/^_\\<>|]*[^\W\d_]{4}[^\d=+*/^_\\<>|]*")
_CITED = re.compile(r"\d{1,3}", re.ASCII)
_ATTRIBUTE = re.compile(r"([A-Za-z_:@][\w:.-]*)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))")
_LINE_MARK = re.compile(r"(?:\A|\n)[ \t]*\Z")
_LINE_NUMBER = re.compile(r"(?:\A|\n)[ \t]*\d{1,9}\Z")
_ENTITY = re.compile(r"&(?:#x?[0-9a-f]{1,7}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)


def read_address(state: StateInline, silent: bool) -> bool:
    found = _ADDRESS.match(state.src, state.pos, state.posMax)
    if found is None or state.src[max(0, state.pos - 1) : state.pos].isalnum():
        return False
    address = found[0].rstrip(_AFTER_ADDRESS if "(" in found[0] else _AFTER_ADDRESS + ")")
    marks = _MARKS.search(address)
    if marks and state.src.endswith(marks[0], 0, state.pos):  # `_https://a.example_`: they belong together
        address = address[: marks.start()]
    if not silent:
        state.push("address", "", 0).content = address
    state.pos += len(address)
    return True


def read_backslash(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "\\":
        return False
    following = state.src[state.pos + 1 : state.pos + 2] if state.pos + 1 < state.posMax else ""
    said, length = ("\\\\", 2) if following == "\\" else ("\\", 1)
    if following == "\n" and not _is_in_path(state):
        if not silent:
            state.push("hardbreak", "br", 0)
        state.pos += 2
        return True
    if following and _would_format(state, following):
        said, length = following, 2
    if not silent:
        token = state.push("text_special", "", 0)
        token.content, token.markup, token.info = said, state.src[state.pos : state.pos + length], "escape"
    state.pos += length
    return True


def _would_format(state: StateInline, sign: str) -> bool:
    """Whether *sign*, behind the backslash at the state's position, would do something without it."""
    source, at = state.src, state.pos + 1
    if sign in "*_~`":
        return not _is_in_path(state)
    before, after = source[max(0, state.pos - 12) : state.pos], source[at + 1 : at + 2]
    if sign in "$%#&" and not _is_in_path(state):  # marks of TeX, which models write with a backslash everywhere
        if (sign == "%" and before[-1:].isdigit()) or (sign in "#$" and after.isdigit()):
            return True
        if sign == "&" and not after.strip():
            return True
    if sign in "#>+-":
        return bool(_LINE_MARK.search(before)) and (state.pos == 0 or "\n" in before)
    if sign in ".)":
        return bool(_LINE_NUMBER.search(before)) and (state.pos <= len(before) or "\n" in before)
    if sign == "!":
        return source.startswith("[", at + 1)
    if sign == "<":
        return TAG.match(source, at) is not None or source.startswith("<!--", at)
    return sign == "&" and _ENTITY.match(source, at) is not None


def _is_in_path(state: StateInline) -> bool:
    """Whether the word at the state's position is a path of Windows, where a backslash stands between names."""
    source, at = state.src, state.pos
    earliest = max(0, at - _WORD_LENGTH)
    line = max(earliest, source.rfind("\n", earliest, at) + 1)
    word = max(line, source.rfind(" ", earliest, at) + 1)
    found = _SPACE.search(source, at, min(state.posMax, at + _WORD_LENGTH))
    end = found.start() if found else at + _WORD_LENGTH
    return bool(_PATH.search(source, line, at + 2) or _BETWEEN_NAMES.search(source, word, end))


def read_mathematics(state: StateInline, silent: bool) -> bool:
    source, at = state.src, state.pos
    opening, closing = next((each for each in _DELIMITERS if source.startswith(each[0], at)), ("", ""))
    if not opening or state.html_terminator_last(closing) <= at:
        return False
    start = at + len(opening)
    end = source.find(closing, start, min(state.posMax, start + _MATHEMATICS_LENGTH))
    if end < 0:
        return False
    inside = source[start:end]
    after = source[end + len(closing) : end + len(closing) + 1]
    if opening[0] == "$" and not _is_between_dollars(opening, inside, after):
        return False
    if not silent:
        said = f"[{inside}]" if after == "(" and opening == r"\[" else _said(opening, inside, closing)
        state.push("mathematics", "", 0).content = said
    state.pos = end + len(closing)
    return True


_DELIMITERS = ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), ("$", "$"))


def _said(opening: str, inside: str, closing: str) -> str:
    if opening[0] == "\\" and (_PROSE.fullmatch(inside) or (opening[1] == "[" and _CITED.fullmatch(inside))):
        # brackets that somebody took for marks
        return opening[1] + inside + closing[1]
    return in_plain_signs(inside) or opening + inside + closing


def _is_between_dollars(opening: str, inside: str, following: str) -> bool:
    """Money is no mathematics: only what has a command, and could be written in plain signs."""
    if not _COMMAND.search(inside) or in_plain_signs(inside) is None:
        return False
    return opening == "$$" or not ("\n" in inside or inside != inside.strip() or following.isdigit())


def read_tag(state: StateInline, silent: bool) -> bool:
    source, at = state.src, state.pos
    if source[at] != "<":
        return False
    if source.startswith("<!--", at):
        return _read_comment(state, silent)
    if state.html_terminator_last(">") <= at:
        return False
    found = TAG.match(source, at, min(state.posMax, at + _MATHEMATICS_LENGTH))
    if found is None:
        return False
    if not silent:
        token = state.push("tag", "", 0)
        token.tag, token.meta = found["name"].lower(), {"closing": bool(found["closing"])}
        token.attrs = {name.lower(): a or b or c for name, a, b, c in _ATTRIBUTE.findall(found["attributes"])}
    state.pos = found.end()
    return True


def _read_comment(state: StateInline, silent: bool) -> bool:
    if state.html_terminator_last("-->") <= state.pos:
        return False
    end = state.src.find("-->", state.pos, state.posMax)
    if end < 0:
        return False
    if not silent:
        state.push("tag", "", 0).meta = {"closing": False}
    state.pos = end + 3
    return True
