"""What stands in a line, as runs of text: marks, links with their address, code, and what tags of HTML stand for.

Between `rendering`, which knows the blocks, and `emphasis`, which places the marks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from markdown_it.tree import SyntaxTreeNode

from integrations.whatsapp.emphasis import TextRun, compose
from integrations.whatsapp.mathematics import lowered, raised
from integrations.whatsapp.splitting import FENCE

CITATION = re.compile(r"\[([0-9]{1,3})\]", re.ASCII)
_LABEL = re.compile(r"\[?([0-9]{1,3})\]?", re.ASCII)
_MARKS = {"strong": "*", "em": "_", "s": "~"}
_STRUCK = frozenset(["s", "del", "strike"])
_ON_LINES = frozenset(
    [
        "p",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "tr",
        "table",
        "thead",
        "tbody",
        "tfoot",
        "section",
        "details",
        "summary",
        "blockquote",
        "dl",
        "dt",
        "dd",
        "figure",
        "figcaption",
        "pre",
        "center",
        "form",
        "nav",
    ]
)
_PARTS_OF_LINK = re.compile(r"^(https?://|mailto:|tel:)", re.IGNORECASE)
_REACHED = re.compile(r"(?:https?://|mailto:|tel:)[^\s]+", re.IGNORECASE)


def is_address(url: str) -> bool:
    """Whether a customer may be led there: web, mail, telephone."""
    return _REACHED.fullmatch("".join(url.split())) is not None


def inline_text(node: SyntaxTreeNode, links: dict[int, str], marks: tuple[str, ...] = ()) -> str:
    """The words of *node*, all of them in *marks*. *links*: where the sources that will be listed lead."""
    line = _Line(links)
    for child in node.children:
        line.add(child, marks)
    line.close(marks)
    text = compose(line.runs).strip()
    return re.sub(r"\n{3,}", "\n\n", text) if line.has_tags else text


@dataclass
class _Line:
    """Runs in order, and what a tag of HTML has opened."""

    links: dict[int, str]
    runs: list[TextRun] = field(default_factory=list)
    has_tags: bool = False
    led_to: list[str] = field(default_factory=list)
    struck: int = 0
    script: str = ""

    @property
    def _last(self) -> str:
        return next((run.text[-1] for run in reversed(self.runs) if run.text), "\n")

    def _say(self, text: str, marks: tuple[str, ...], kind: Literal["text", "code", "address"] = "text") -> None:
        if self.struck and "~" not in marks:
            marks = (*marks, "~")
        self.runs.append(TextRun(text, marks, kind))

    def add(self, node: SyntaxTreeNode, marks: tuple[str, ...]) -> None:
        match node.type:
            case "text" | "lone_mark" | "mathematics":
                self._add_words(node.content, marks)
            case "address":
                self._say(node.content, marks, "address")
            case "softbreak" | "hardbreak":
                self._say("\n", marks)
            case "code_inline":
                self._say(*_code(node.content, marks))
            case "link":
                self._add_link(node, marks)
            case "image":
                self._add_reached(node, str(node.attrs.get("src", "")), marks)
            case "tag":
                self._add_tag(node, marks)
            case _:
                self._add_marked(node, marks)

    def _add_marked(self, node: SyntaxTreeNode, marks: tuple[str, ...]) -> None:
        """Two figures that only marks kept apart do not become one."""
        mark, begun, last = _MARKS.get(node.type), len(self.runs), self._last
        for child in node.children:
            self.add(child, (*marks, mark) if mark and mark not in marks else marks)
        if last.isdecimal() and any(run.text[:1].isdecimal() for run in self.runs[begun : begun + 1]):
            self.runs.insert(begun, TextRun(" ", marks))

    def close(self, marks: tuple[str, ...]) -> None:
        """Addresses of links that were not closed."""
        while self.led_to:
            self._end_link(marks)

    def _add_words(self, text: str, marks: tuple[str, ...]) -> None:
        if self.script and text.strip():
            text = raised(text.strip()) if self.script == "sup" else lowered(text.strip())
        self._say(text, marks)

    def _add_link(self, node: SyntaxTreeNode, marks: tuple[str, ...]) -> None:
        url = str(node.attrs.get("href", ""))
        cited = _LABEL.fullmatch("".join(child.content for child in node.children if child.type == "text"))
        if cited is None or len(node.children) != 1:
            self._add_reached(node, url, marks)
            return
        self._say(f"[{cited[1]}]", marks)
        if self.links.get(int(cited[1])) != url:
            self._add_address(url, "", marks)

    def _add_reached(self, node: SyntaxTreeNode, url: str, marks: tuple[str, ...]) -> None:
        """`words (address)`; only the address if the words say the same, only the words if it leads nowhere."""
        before = len(self.runs)
        if self._last.isdigit():
            self._say(" ", marks)  # or a figure at the beginning of the words would go on with it
        for child in node.children:
            self.add(child, marks)
        said = "".join(run.text for run in self.runs[before:]).strip()
        title = str(node.attrs.get("title", "")).strip()
        if not is_address(url):
            return
        if said and _bare(said) == _bare(url):
            del self.runs[before:]
            said = ""
        if said:
            self._add_address(url, "" if title in said else title, marks)
        else:
            self._say(_shown(url), marks, "address")
            self._say(f" “{title}”" if title else "", marks)

    def _add_address(self, url: str, title: str, marks: tuple[str, ...]) -> None:
        self._say(" (", marks)
        self._say(_shown(url), marks, "address")
        self._say(f" “{title}”)" if title else ")", marks)

    def _add_tag(self, node: SyntaxTreeNode, marks: tuple[str, ...]) -> None:
        self.has_tags, name, closing = True, node.tag, bool(node.meta.get("closing"))
        if name == "a" and closing and self.led_to:
            self._end_link(marks)
        elif name == "a" and not closing:
            self.led_to.append(str(node.attrs.get("href", "")))
        elif name == "img":
            self._add_picture(str(node.attrs.get("alt", "")), str(node.attrs.get("src", "")), marks)
        elif name in ("sup", "sub"):
            self.script = "" if closing else name
        elif name in _STRUCK:
            self.struck = max(0, self.struck + (-1 if closing else 1))
        elif name in ("br", "hr") or (name in _ON_LINES and self._last != "\n"):
            self._say("\n", marks)
        elif name == "li" and not closing:
            self._say("- " if self._last == "\n" else "\n- ", marks)
        elif name in ("td", "th") and not self._last.isspace():
            self._say(" ", marks)

    def _end_link(self, marks: tuple[str, ...]) -> None:
        url = self.led_to.pop()
        said = "".join(run.text for run in self.runs).rstrip()
        if is_address(url) and not said.endswith(_shown(url)):
            self._add_address(url, "", marks)

    def _add_picture(self, words: str, url: str, marks: tuple[str, ...]) -> None:
        if words:
            self._say(words, marks)
        if is_address(url):
            self._add_address(url, "", marks) if words else self._say(_shown(url), marks, "address")


def _code(content: str, marks: tuple[str, ...]) -> tuple[str, tuple[str, ...], Literal["text", "code"]]:
    if not content.strip():
        return content, marks, "text"
    if "`" not in content:
        return f"`{content}`", marks, "code"
    inside = content.replace(FENCE, "ˋˋˋ")
    if inside.startswith("`") or inside.endswith("`"):
        inside = f" {inside} "
    return f"{FENCE}{inside}{FENCE}", marks, "code"


def _bare(url: str) -> str:
    return _PARTS_OF_LINK.sub("", url).rstrip("/").lower()


def _shown(url: str) -> str:
    """An address of mail or telephone without its scheme, which nobody reads."""
    address = "".join(url.split())
    return address.split(":", 1)[1] if address.lower().startswith(("mailto:", "tel:")) else address
