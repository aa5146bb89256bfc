"""Reads Markdown as the model writes it: markdown-it-py, with rules of ours where CommonMark would change words.

`+ RM20 delivery` is no list, a line below a list that is not indented is not its last item's, `[Menu]: https://…` is
text, and a row of a table with more cells than its head is no row. Inline rules: `marks`, `signs`, `links`. Written by
`rendering`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock, blockquote, hr, list_block, table
from markdown_it.rules_block.table import escapedSplit
from markdown_it.tree import SyntaxTreeNode

from actions.wordless import DEFINITION
from integrations.whatsapp.links import Helpers, read_image, read_link, read_picture
from integrations.whatsapp.marks import check_pairs, drop_lone_pairs, read_marks
from integrations.whatsapp.signs import STOP, read_address, read_backslash, read_mathematics, read_tag

DEEPEST = 100
"""How deep lists and quotes may nest; the parser leaves out what lies deeper."""
_REACHED = re.compile(r"(?:https?://|mailto:|tel:)\S+", re.IGNORECASE)
_MATHEMATICS_LINES = 60
_STARS = 3
"""A rule of more stars than that is a line of stars, as in a review."""

Rule = Callable[[StateBlock, int, int, bool], bool]


def parse(markdown: str) -> SyntaxTreeNode | None:
    """The tree of *markdown*; None: it nests too deep, and stays as it is.

    A block that `follows` in its meta stands right below the one before it, without a blank line.
    """
    tokens = _MARKDOWN.parse(markdown.replace("\x00", "\ufffd"))
    if any(token.level >= DEEPEST - 1 for token in tokens):
        return None
    lines = markdown.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for token in tokens:
        if token.map and token.map[0] > 0 and token.nesting >= 0:
            token.meta["follows"] = bool(lines[token.map[0] - 1].strip("> \t"))
    return SyntaxTreeNode(tokens)


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _read_list(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    return not _line(state, start).startswith("+") and list_block(state, start, end, silent)


def _read_quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """`>= 10 kg` and `>5` are no quotes."""
    return _line(state, start)[1:2] in ("", " ", "\t", ">") and blockquote(state, start, end, silent)


def _read_hr(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    line = _line(state, start)
    return (line.startswith("-") or len(line.replace(" ", "")) <= _STARS) and hr(state, start, end, silent)


def _read_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Unless a row has more cells than the head: they would be left out. A line without a `|` is no row any more."""
    end = next((line for line in range(start + 2, end) if "|" not in _line(state, line)), end)
    tokens, at, parent = len(state.tokens), state.line, state.parentType
    if not table(state, start, end, silent):
        return False
    if silent:
        return True
    columns = sum(token.type == "th_open" for token in state.tokens[tokens:])
    if all(_cells(_line(state, line)) <= columns for line in range(start + 2, state.line)):
        return True
    del state.tokens[tokens:]
    state.line, state.parentType = at, parent
    return False


def _cells(line: str) -> int:
    stripped = line.strip().removeprefix("|")
    return len(escapedSplit(stripped.removesuffix("|")))


def _read_definition(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """`[1]: https://…` says where a citation leads; it is no text."""
    found = DEFINITION.fullmatch(_line(state, start))
    if found is None or state.is_code_block(start):
        return False
    if not silent:
        state.line = start + 1
        token = state.push("definition", "", 0)
        token.map, token.meta = [start, start + 1], found.groupdict()
    return True


def _read_comment(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A comment of several lines, blank ones among them, which is no paragraph."""
    if not _line(state, start).startswith("<!--"):
        return False
    for line in range(start, end):
        found = _line(state, line).find("-->", 4 if line == start else 0)
        if found >= 0:
            return _is_over(state, start, line, found, silent)
    return False


def _is_over(state: StateBlock, start: int, line: int, found: int, silent: bool) -> bool:
    if _line(state, line)[found + 3 :].strip():
        return False
    if not silent:
        state.line = line + 1
        state.push("definition", "", 0).map = [start, line + 1]
    return True


def _read_display(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""`\[` and `$$` of several lines, which may begin as those of a list do."""
    closing = {r"\[": r"\]", "$$": "$$"}.get(_line(state, start)[:2])
    if closing is None or closing in _line(state, start)[2:]:
        return False
    for line in range(start + 1, min(end, start + _MATHEMATICS_LINES)):
        if closing in _line(state, line):
            return silent or _push_paragraph(state, start, line + 1)
        if not _line(state, line).strip() or state.sCount[line] < state.blkIndent:
            return False
    return False


def _read_paragraph(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """As CommonMark's, but that a line with less indentation than a list's or quote's is not theirs any more."""
    end, line = state.lineMax, start + 1
    rules = state.md.block.ruler.getRules("paragraph")
    parent, state.parentType = state.parentType, "paragraph"
    while line < end and not state.isEmpty(line):
        if state.sCount[line] < state.blkIndent:
            break
        if state.sCount[line] - state.blkIndent <= 3 and any(rule(state, line, end, True) for rule in rules):
            break
        line += 1
    state.parentType = parent
    return _push_paragraph(state, start, line)


def _push_paragraph(state: StateBlock, start: int, end: int) -> bool:
    content = state.getLines(start, end, state.blkIndent, False).strip()
    state.line = end
    state.push("paragraph_open", "p", 1).map = [start, end]
    token = state.push("inline", "", 0)
    token.content, token.map, token.children = content, [start, end], []
    state.push("paragraph_close", "p", -1)
    return True


class _Parser(MarkdownIt):
    """Addresses stay as they are written, and what is no address makes no link."""

    def normalizeLink(self, url: str) -> str:
        return url

    def validateLink(self, url: str) -> bool:
        return _REACHED.fullmatch(url) is not None


def _made() -> MarkdownIt:
    made = _Parser("commonmark", {"html": False, "maxNesting": DEEPEST})
    blocks, inline, pairs = made.block.ruler, made.inline.ruler, made.inline.ruler2
    everywhere: RuleOptionsType = {"alt": ["paragraph", "blockquote", "list"]}
    blocks.enable("table")
    blocks.disable(["reference", "lheading", "html_block"])
    blocks.at("list", _read_list, {"alt": ["paragraph", "blockquote"]})
    blocks.at("blockquote", _read_quote, everywhere)
    blocks.at("hr", _read_hr, everywhere)
    blocks.at("table", _read_table, {"alt": ["paragraph"]})
    blocks.at("paragraph", _read_paragraph)
    blocks.before("list", "display", _read_display, everywhere)
    blocks.before("list", "comment", _read_comment, everywhere)
    blocks.before("paragraph", "definition", _read_definition)
    inline.disable(["escape", "emphasis", "html_inline"])
    made.inline.terminator_re = STOP
    inline.before("text", "address", read_address)
    inline.before("backticks", "mathematics", read_mathematics)
    inline.before("backticks", "backslash", read_backslash)
    inline.before("link", "marks", read_marks)
    inline.before("image", "picture", read_picture)
    inline.at("image", read_image)
    inline.at("link", read_link)
    made.helpers = Helpers()  # type: ignore[assignment]
    inline.before("entity", "tag", read_tag)
    pairs.enable("strikethrough")
    pairs.after("balance_pairs", "check_pairs", check_pairs)
    made.core.ruler.after("inline", "lone_marks", drop_lone_pairs)
    return made


_MARKDOWN = _made()
