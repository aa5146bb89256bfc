"""What a model says to itself, or to its own machine, within an output: no customer is to see it.

* thoughts: `<think>…</think>`, also without the tag that opens them, and the channels before a `final` one
* calls in another notation than ours: tags, special tokens, `[TOOL_CALLS]`. The prompt pack asks for one JSON object
* marks at the end of a message, which only end it

What stands in code (a fence, back-ticks) is an example of it, and words like any others. Pure, total, linear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_THOUGHT = r"(?:think|thinking|thoughts?|reasoning|scratchpad)"
_CLOSES = re.compile(rf"</{_THOUGHT}\s{{0,9}}>", re.IGNORECASE)
_FINAL = r"(?:<\|start\|>\s{0,9}assistant\s{0,9})?<\|channel\|>\s{0,9}final\b[^<]{0,40}<\|message\|>"
_END = r"<\|(?:im_end|endoftext|eot_id|end_of_text|eom_id|end|return)\|>|<\|im_start\|>(?:assistant\b)?"
_CALL = (
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>"
    r"|</?(?:[a-z]{1,9}:)?(?:function_calls?|function_results?|invoke|tool_calls?|tool_use|tool_code|tool_response)\b"
    r"|<function=|</function>"
    r"|\[/?(?:TOOL_CALLS?|TOOL_REQUEST|TOOL_RESULTS?|AVAILABLE_TOOLS)\]"
    r"|```(?:tool_code|tool_calls?|function_calls?)\b"
)
_MACHINERY = (
    rf"(?P<closes></{_THOUGHT}\s{{0,9}}>)|(?P<opens><{_THOUGHT}\s{{0,9}}>)"
    rf"|(?P<final>{_FINAL})|(?P<end>{_END})|(?P<call>{_CALL})"
)
_ANY = re.compile(_MACHINERY, re.IGNORECASE)
_TOKEN = re.compile(rf"{_MACHINERY}|(?P<code>```.*?(?:```|\Z)|`[^`\n]{{1,400}}`)", re.IGNORECASE | re.DOTALL)
_BEGUN = re.compile(r"(?:<[/|｜]{0,2}[\w:｜▁|=]{0,40}|\[/?[A-Z_]{0,16}|`{1,3}\w{0,16})\Z", re.IGNORECASE)

LONGEST = 100
"""Characters that a mark has at most, apart from what stands around it."""


@dataclass(frozen=True)
class Heard:
    """`text` is what is said to the customer. `thought`: something else was there, and is left out. `called`: it holds
    a call that is none of ours."""

    text: str
    thought: bool = False
    called: bool = False


def heard(output: str) -> Heard:
    """*output* without what is not said to anybody."""
    if not has_machinery(output):
        return Heard(output)
    kept: list[str] = []
    position, called, left_out = 0, False, False
    while (found := _TOKEN.search(output, position)) is not None:
        kind = found.lastgroup
        if kind == "code":
            kept.append(output[position : found.end()])
            position = found.end()
            continue
        kept.append(output[position : found.start()])
        left_out, position = True, found.end()
        if kind in ("closes", "final"):  # all before it was thought
            kept, called = [], False
        elif kind == "opens":
            closing = _CLOSES.search(output, found.end())
            position = len(output) if closing is None else closing.end()
        elif kind == "call":
            called = True
            kept.append(found.group())
    kept.append(output[position:])
    text = "".join(kept)
    return Heard(text.strip() if left_out else text, left_out, called)


def has_machinery(text: str, start: int = 0) -> bool:
    """Whether any mark is in *text* behind *start*, be it in code."""
    return _ANY.search(text, start) is not None


def may_begin_machinery(text: str) -> int:
    """Where the end of a growing *text* may be the beginning of a mark; its length where it is none."""
    begun = _BEGUN.search(text, max(0, len(text) - LONGEST))
    return len(text) if begun is None else begun.start()
