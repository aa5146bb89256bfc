"""Turns the model's Markdown into what WhatsApp shows: `*bold*` `_italic_` `~strike~`, code, lists, quotes.

WhatsApp has no links with text, no tables, no headings and no images, so those become readable words; no figure and no
word is lost or changed. Sits between an accepted answer and `splitting`; `markdown` reads, `inline` writes what is in a
line. Source: WhatsApp, "How to format your messages", read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from markdown_it.tree import SyntaxTreeNode

from integrations.whatsapp.emphasis import TextRun, compose
from integrations.whatsapp.inline import CITATION, inline_text, is_address
from integrations.whatsapp.markdown import parse
from integrations.whatsapp.splitting import FENCE
from schemas.turns import Source

_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z+#.-]{0,19}|")
_TITLE_CHARACTERS = 100
_RULE = "———"


def render(markdown: str, sources: Sequence[Source] = (), *, sources_label: str = "Sources") -> str:
    """*markdown* for WhatsApp, with a list of those *sources* that it cites as `[n]` at its end.

    Empty where it says nothing. Raises nothing on any text: what is no Markdown comes through as it is.
    """
    tree = parse(markdown)
    if tree is None:
        return markdown.strip()
    known = {source.n: source for source in sources}
    defined = [_defined(node) for node in tree.walk() if node.type == "definition" and node.meta]
    links = {source.n: source.url for source in [*defined, *sources]}
    body = _joined(tree.children, links)
    if not body:
        return ""
    listed = sorted({n: known[n] for n in _cited(tree) if n in known}.values(), key=lambda source: source.n)
    listed += [source for source in defined if (source.n, source.url) not in {(each.n, each.url) for each in listed}]
    lines = "\n".join(_source_line(source) for source in listed)
    return f"{body}\n\n*{sources_label}*\n{lines}" if lines else body


def literally(text: str) -> str:
    """*text* that is no Markdown: what would take effect as WhatsApp's formatting is written as its look-alike."""
    return compose([TextRun(text)], same_length=True).strip()


def _defined(node: SyntaxTreeNode) -> Source:
    return Source(n=int(node.meta["n"]), title=node.meta["title"] or "", url=node.meta["url"])


def _cited(tree: SyntaxTreeNode) -> set[int]:
    words = " ".join(_with_brackets(node) for node in tree.walk() if node.type == "text")
    return {int(found) for found in CITATION.findall(words)}


def _with_brackets(node: SyntaxTreeNode) -> str:
    """The words of a link that is a citation (`[1](https://…)`) have lost theirs."""
    is_label = node.parent is not None and node.parent.type == "link" and node.content.isdigit()
    return f"[{node.content}]" if is_label else node.content


def _source_line(source: Source) -> str:
    url = "".join(source.url.split()) if is_address(source.url) else ""
    title = " ".join(source.title.split())
    if len(title) > _TITLE_CHARACTERS:
        title = title[: _TITLE_CHARACTERS - 1].rstrip() + "…"
    title = compose([TextRun(title)]) or _host(source.url)
    return f"[{source.n}] " + " – ".join(filter(None, (title, url)))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _joined(nodes: Sequence[SyntaxTreeNode], links: dict[int, str]) -> str:
    """Blocks one below the other, with a blank line where the source has one, and around headings, quotes, tables."""
    text, before = "", ""
    for node in nodes:
        block = _block(node, links)
        if not block:
            continue
        apart = not node.meta.get("follows") or node.type in ("heading", "table", "blockquote") or before == "table"
        text += (("\n\n" if apart else "\n") if text else "") + block
        before = node.type
    return text


def _block(node: SyntaxTreeNode, links: dict[int, str]) -> str:
    match node.type:
        case "definition":
            return ""
        case "heading":
            return inline_text(node, links, ("*",)).replace("\n", " ")
        case "fence" | "code_block":
            return _code_block(node)
        case "bullet_list" | "ordered_list":
            return _list(node, links)
        case "blockquote":
            return _quote(_joined(node.children, links))
        case "table":
            return _table(node, links)
        case "hr":
            return _RULE
        case _:
            return inline_text(node, links)


def _code_block(node: SyntaxTreeNode) -> str:
    """The language's name is left out, and a fence within the code is written so that it does not end it."""
    code = node.content.rstrip().replace(FENCE, "ˋˋˋ")
    info = node.info.strip()
    if not _LANGUAGE.fullmatch(info):
        code = f"{info}\n{code}"
    return f"{FENCE}\n{code}\n{FENCE}" if code.strip() else ""


def _list(node: SyntaxTreeNode, links: dict[int, str]) -> str:
    """Each item under its own mark, for a number may be a date's, and a `-` a sign."""
    separator = "\n" if _is_tight(node) else "\n\n"
    ordered = node.type == "ordered_list"
    return separator.join(_item(item, f"{item.info if ordered else ''}{item.markup} ", links) for item in node.children)


def _is_tight(node: SyntaxTreeNode) -> bool:
    return all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")


def _item(item: SyntaxTreeNode, bullet: str, links: dict[int, str]) -> str:
    blocks = "\n".join(filter(None, (_block(child, links) for child in item.children)))
    return (bullet + _hanging(blocks, " " * len(bullet))).rstrip()


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
    for line in text.split("\n") if text else ():
        fence = line == FENCE
        quoted = line if line.startswith("> ") else f"> {line}"
        lines.append(line if in_code or fence else quoted.rstrip())
        in_code ^= fence
    return "\n".join(lines)


def _table(node: SyntaxTreeNode, links: dict[int, str]) -> str:
    """Two columns: `- *a*: b`. More: the first cell as a title, the others below it with their column's name."""
    rows = [row for part in node.children for row in part.children]
    cells = [[inline_text(cell, links).replace("\n", " ") for cell in row.children] for row in rows]
    titles = [inline_text(row.children[0], links, ("*",)).replace("\n", " ") for row in rows[1:]]
    head, body = cells[0], cells[1:]
    if not body:
        return " · ".join(filter(None, head))
    if len(head) == 2:
        pairs = [_named(title, row[1]) for title, row in zip(titles, body, strict=True)]
        return "\n".join(filter(None, [": ".join(filter(None, head)), *(f"- {pair}" for pair in pairs if pair)]))
    unused = {name for n, name in enumerate(head) if n and not any(row[n] for row in body)}
    records = [_record(title, head, row, unused) for title, row in zip(titles, body, strict=True)]
    return "\n\n".join(filter(None, records))


def _named(name: str, value: str) -> str:
    return ": ".join(filter(None, (name, value)))


def _record(title: str, head: list[str], row: list[str], unused: set[str]) -> str:
    """*unused*: names of columns without any value, which are told all the same."""
    pairs = [
        _named(name, value or "–") for name, value in zip(head[1:], row[1:], strict=True) if value or name in unused
    ]
    return "\n".join(filter(None, [_named(head[0], title) if title else "", *(f"- {pair}" for pair in pairs)]))
