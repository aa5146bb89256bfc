"""Turns the model's Markdown into what WhatsApp shows: `*bold*` `_italic_` `~strike~`, code, lists, quotes.

WhatsApp has no links with text, no tables, no headings and no images, so those become readable words. Sits between an
accepted answer and `splitting`. Source: WhatsApp, "How to format your messages", read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

from integrations.whatsapp.emphasis import TextRun, compose
from integrations.whatsapp.splitting import FENCE
from schemas.turns import Source

_MARKS = {"strong": "*", "em": "_", "s": "~"}
_CITATION = re.compile(r"\[([0-9]{1,3})\]", re.ASCII)
_BREAK_TAG = re.compile(r"<br ?/?>", re.IGNORECASE)
# Only tags of HTML: `List<String>` is no tag, and dropping it would lose a word.
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|center|cite|code|dd|del|details|div|dl|dt|em|figcaption|figure|font|form|h[1-6]"
    r"|head|hr|html|i|iframe|img|input|ins|kbd|li|link|mark|meta|nav|object|ol|p|picture|pre|q|s|samp|script|section"
    r"|small|source|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|video)"
    r"(?:\s[^<>]{0,2000})?/?>|<!--.{0,2000}?-->",
    re.IGNORECASE | re.DOTALL,
)
_TITLE_CHARACTERS = 100
_RULE = "———"


def _bare_url(state: StateInline, silent: bool) -> bool:
    """An inline rule: an address in plain text is one token, or the marks in it would be read as emphasis."""
    scheme = _SCHEME.search(state.src, max(0, state.pos - 6), state.pos)
    rest = _ADDRESS.match(state.src, state.pos) if scheme else None
    if scheme is None or rest is None or (not silent and not state.pending.endswith(scheme[0])):
        return False
    address = rest[0].rstrip(_AFTER_ADDRESS if "(" in rest[0] else _AFTER_ADDRESS + ")")
    if not silent:
        state.pending = state.pending[: -len(scheme[0])]
        state.push("bare_url", "", 0).content = scheme[0] + address
    state.pos += len(address)
    return True


_SCHEME = re.compile(r"https?\Z", re.IGNORECASE)
_ADDRESS = re.compile(r"://[^\s<>\[\]`|]+")
_AFTER_ADDRESS = ".,;:!?'\"*_~”’»"
_DEEPEST = 100
"""How deep lists and quotes may nest; the parser leaves out what lies deeper, so then all is shown as it is."""
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST}).enable(["table", "strikethrough"])
_MARKDOWN.inline.ruler.before("emphasis", "bare_url", _bare_url)


def render(markdown: str, sources: Sequence[Source] = (), *, sources_label: str = "Sources") -> str:
    """*markdown* for WhatsApp, with a list of those *sources* that it cites as `[n]` at its end.

    Raises nothing on any text: what is no Markdown comes through as it is.
    """
    tokens = _MARKDOWN.parse(markdown.replace("\x00", "\ufffd"))
    if any(token.level >= _DEEPEST - 1 for token in tokens):
        return markdown.strip()
    tree = SyntaxTreeNode(tokens)
    body = "\n\n".join(filter(None, _blocks(tree.children)))
    listed = _cited(tree, sources)
    return "\n\n".join(filter(None, (body, f"*{sources_label}*\n" + "\n".join(listed) if listed else "")))


def literally(text: str) -> str:
    """*text* that is no Markdown: what would take effect as WhatsApp's formatting is written as its look-alike."""
    return compose([TextRun(text)]).strip()


def _cited(tree: SyntaxTreeNode, sources: Sequence[Source]) -> list[str]:
    words = " ".join(node.content for node in tree.walk() if node.type == "text")
    numbers = {int(found) for found in _CITATION.findall(words)}
    cited = sorted((source for source in sources if source.n in numbers), key=lambda source: source.n)
    return [_source_line(source) for source in cited]


def _source_line(source: Source) -> str:
    url = _readable_url(source.url)
    title = " ".join(source.title.split())
    if len(title) > _TITLE_CHARACTERS:
        title = title[: _TITLE_CHARACTERS - 1].rstrip() + "…"
    title = compose([TextRun(title)]) or urlsplit(source.url).hostname or ""
    return f"[{source.n}] " + " – ".join(filter(None, (title, url)))


def _blocks(nodes: Sequence[SyntaxTreeNode]) -> list[str]:
    return [_block(node) for node in nodes]


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "heading":
            return _inline(node, ("*",)).replace("\n", " ")
        case "fence" | "code_block":
            return _code_block(node.content)
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "blockquote":
            return _quote("\n\n".join(_blocks(node.children)))
        case "table":
            return _table(node)
        case "hr":
            return _RULE
        case _:
            return _inline(node)


def _code_block(content: str) -> str:
    """The language's name is left out, and a fence within the code is written so that it does not end it."""
    return f"{FENCE}\n{content.rstrip().replace(FENCE, 'ˋˋˋ')}\n{FENCE}"


def _list(node: SyntaxTreeNode) -> str:
    first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    separator = "\n" if _is_tight(node) else "\n\n"
    return separator.join(
        _item(item, "- " if first is None else f"{first + index}. ") for index, item in enumerate(node.children)
    )


def _is_tight(node: SyntaxTreeNode) -> bool:
    return all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")


def _item(item: SyntaxTreeNode, bullet: str) -> str:
    blocks = "\n".join(filter(None, _blocks(item.children)))
    return bullet + _hanging(blocks, " " * len(bullet))


def _hanging(text: str, indent: str) -> str:
    """*text* with all lines but the first indented; code stays at the margin, where its fence works."""
    lines, in_code = [], False
    for line in text.split("\n"):
        fence = line == FENCE
        lines.append(line if in_code or fence or not line else indent + line)
        in_code ^= fence
    joined = "\n".join(lines)
    return "\n" + joined if text.startswith(FENCE) else joined.removeprefix(indent)


def _quote(text: str) -> str:
    lines, in_code = [], False
    for line in text.split("\n"):
        fence = line == FENCE
        quoted = line if line.startswith("> ") else f"> {line}"
        lines.append(line if in_code or fence else quoted.rstrip())
        in_code ^= fence
    return "\n".join(lines)


def _table(node: SyntaxTreeNode) -> str:
    """Two columns: `- *a*: b`. More: the first cell as a title, the others below it with their column's name."""
    rows = [row for part in node.children for row in part.children]
    cells = [[_inline(cell).replace("\n", " ") for cell in row.children] for row in rows]
    titles = [_inline(cell, ("*",)).replace("\n", " ") for cell in [row.children[0] for row in rows[1:]]]
    head, body = cells[0], cells[1:]
    if not body:
        return " · ".join(filter(None, head))
    if len(head) == 2:
        return "\n".join(
            [": ".join(filter(None, head)), *(f"- {title}: {row[1]}" for title, row in zip(titles, body, strict=True))]
        )
    return "\n\n".join(_record(title, head, row) for title, row in zip(titles, body, strict=True))


def _record(title: str, head: list[str], row: list[str]) -> str:
    pairs = [(name, value) for name, value in zip(head[1:], row[1:], strict=False) if value]
    return "\n".join([title, *(f"- {name}: {value}" if name else f"- {value}" for name, value in pairs)]).strip()


def _inline(node: SyntaxTreeNode, marks: tuple[str, ...] = ()) -> str:
    return compose([run for child in node.children for run in _runs(child, marks)]).strip()


def _runs(node: SyntaxTreeNode, marks: tuple[str, ...]) -> list[TextRun]:
    match node.type:
        case "text":
            return [TextRun(_without_tags(node.content), marks)]
        case "bare_url":
            return [TextRun(_escape_url(node.content), marks, verbatim=True)]
        case "softbreak" | "hardbreak":
            return [TextRun("\n", marks)]
        case "code_inline":
            return [TextRun(_code(node.content), marks, verbatim=True)]
        case "link":
            return _link_runs(node, marks)
        case "image":
            return _linked([TextRun(node.content, marks)], str(node.attrs.get("src", "")), marks)
        case _:
            mark = _MARKS.get(node.type)
            inner = (*marks, mark) if mark and mark not in marks else marks
            return [run for child in node.children for run in _runs(child, inner)]


def _without_tags(text: str) -> str:
    return _TAG.sub("", _BREAK_TAG.sub("\n", text))


def _code(content: str) -> str:
    return f"`{content.replace('`', 'ˋ')}`" if content.strip() else content


def _link_runs(node: SyntaxTreeNode, marks: tuple[str, ...]) -> list[TextRun]:
    words = [run for child in node.children for run in _runs(child, marks)]
    return _linked(words, str(node.attrs.get("href", "")), marks)


def _linked(words: list[TextRun], url: str, marks: tuple[str, ...]) -> list[TextRun]:
    """`words (address)`; only the address if the words say the same, only the words if it leads nowhere."""
    address, said = _readable_url(url), "".join(run.text for run in words).strip()
    if not address:
        return words
    shown = TextRun(address, marks, verbatim=True)
    if not said or said in (url, address) or _bare(said) == _bare(address):
        return [shown]
    return [*words, TextRun(" (", marks), shown, TextRun(")", marks)]


def _bare(url: str) -> str:
    return re.sub(r"^(https?://|mailto:|tel:)", "", url, flags=re.IGNORECASE).rstrip("/").lower()


def _readable_url(url: str) -> str:
    """*url* if a customer may be led there (web, mail, telephone), on one line; else nothing."""
    address = "".join(url.split())
    scheme = address.split(":", 1)[0].lower() if ":" in address else ""
    if scheme in ("mailto", "tel"):
        return address.split(":", 1)[1]
    return _escape_url(address) if scheme in ("http", "https") else ""


def _escape_url(url: str) -> str:
    """The same address without characters that WhatsApp could take for formatting at a word's edge."""
    return re.sub(r"(?<![A-Za-z0-9])[_*~]|[_*~](?![A-Za-z0-9])", lambda mark: f"%{ord(mark[0]):02X}", url)
