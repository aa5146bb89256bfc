"""Marks what others wrote before it goes to the model: customers' words, fetched pages, tool results, old outputs.

Marked text cannot close its own mark: inside there is no `<` left, no invisible character, and none of our own marks.
The marks only help the model; what is allowed never depends on them (gates, confirmation and the allow-list hold).
"""

from __future__ import annotations

import re
from typing import Literal

from actions.folding import without_invisible

ACTIONS_MARK = "ACTIONS YOU MAY REQUEST"
"""The line over the list of actions. Only the prompt pack may write it."""
WORDS_MARK = "---"
"""The line between the prompt pack and the customer's words."""

Kind = Literal["customer_message", "tool_result", "previous_output", "errors", "conversation_so_far", "open_question"]

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_ANGLES = str.maketrans(dict.fromkeys("<＜﹤", "‹"))
_MARK = re.compile(re.escape(ACTIONS_MARK).replace(r"\ ", r"\s+"), re.IGNORECASE)
_CUSTOMER = re.compile(r'<untrusted kind="customer_message">\n([^<]*)\n</untrusted>\s*\Z')
_RULE_LINE = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)


def wrap_untrusted(kind: Kind, text: str) -> str:
    """*text* between marks that it cannot close or forge."""
    return f'<untrusted kind="{kind}">\n{neutral(text).translate(_ANGLES)}\n</untrusted>'


def without_marks(question: str) -> str:
    """The customer's words of a *question*, without all that stands before them and the marks around: for those who
    play the model."""
    words = question.rpartition(f"\n{WORDS_MARK}\n")[2] if ACTIONS_MARK in question else question
    found = _CUSTOMER.search(words)
    return (found[1] if found else words).strip()


def neutral(text: str) -> str:
    """*text* without control and invisible characters, and with our own marks made harmless; the words stay."""
    plain = _CONTROL.sub(" ", without_invisible(text.replace("\r\n", "\n")))
    plain = _MARK.sub("actions you may (not) request", plain)
    return _RULE_LINE.sub("- - -", plain)
