"""Marks of citations as models write them behind their words, in whatever notation. They say nothing by themselves."""

from __future__ import annotations

import re

_NUMBER = r"(?:[a-z]{1,10}:)?\d{1,3}"
CITATION = (
    r"(?:"
    rf"\[\^?{_NUMBER}(?:\s{{0,2}}[,;–-]\s{{0,2}}{_NUMBER}){{0,9}}\]"  # [1]  [^1]  [1, 2]  [1-3]  [web:1]
    r"|【[\d:,;–\-\s]{1,20}(?:†[^】\n]{0,60})?】"  # 【1】  【3:0†source】
    r"|[\ue200-\ue20f]?cite(?:[\ue200-\ue20f]?turn\d{1,3}[a-z]{1,12}\d{1,3}){1,20}[\ue200-\ue20f]?"  # citeturn0search0
    r")"
)
"""One of them, as a pattern. Its signs of the private area mark where the third begins and ends."""

_ANY = re.compile(CITATION)


def without_citations(text: str) -> str:
    return _ANY.sub("", text)
