"""Tells an output that has no words for a customer: nothing is left of it but comments, tags, pictures and the like.

One rule for all channels, and the patterns that `integrations/whatsapp` leaves out or writes otherwise. Linear.
"""

from __future__ import annotations

import re

from schemas.visible import shows_something

_NAMES = (
    "a|abbr|b|big|blockquote|body|br|center|cite|code|dd|del|details|div|dl|dt|em|figcaption|figure|font|form|h[1-6]"
    "|head|hr|html|i|iframe|img|input|ins|kbd|li|link|mark|meta|nav|object|ol|p|picture|pre|q|s|samp|script|section"
    "|small|source|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|video"
)
_FLAGS = "allowfullscreen|async|autoplay|checked|controls|defer|disabled|hidden|loop|muted|open|required|reversed"
TAG = re.compile(
    rf"<(?P<closing>/?)(?P<name>{_NAMES})(?P<attributes>(?:\s+(?:[A-Za-z_:@][\w:.-]*+\s*+=\s*+"
    rf"(?:\"[^\"<>]*+\"|'[^'<>]*+'|[^\s\"'=<>`]++)|(?:{_FLAGS})(?=[\s/>])))*+)\s*/?>",
    re.IGNORECASE,
)
"""Only tags of HTML with attributes of HTML: `List<String>` is no tag, nor is `a <b and c> d`."""
DEFINITION = re.compile(
    r"\[(?P<n>[0-9]{1,3})\]:[ \t]*<?(?P<url>https?://[^\s<>]+)>?(?:[ \t]+[\"'(](?P<title>[^\n]*)[\"')])?[ \t]*"
)
"""Where a citation leads, on a line of its own. With a name in the place of the number it is text."""
_WORDLESS = re.compile(
    rf"!?\[[^\S\n]*\]\([^()\n]{{0,2000}}\)|^[ \t]*{DEFINITION.pattern}$|{TAG.pattern.replace('?P<', '?P<tag_')}",
    re.IGNORECASE | re.MULTILINE,
)
_BEGINS_WITH_WORDS = re.compile(r"[\s#*_~>|+-]*[^\W_]")
_MARKS = str.maketrans("", "", "#*_~`>|-+=\\")


def says_nothing(output: str) -> bool:
    """Whether a customer would see no word, figure or other sign of *output*. Not asked of one that is empty."""
    if _BEGINS_WITH_WORDS.match(output):
        return False
    rest = output if "`" in output else _WORDLESS.sub("", _without_comments(output))
    return not shows_something(rest.translate(_MARKS))


def _without_comments(output: str) -> str:
    kept, at = [], 0
    while (start := output.find("<!--", at)) >= 0 and (end := output.find("-->", start)) >= 0:
        kept.append(output[at:start])
        at = end + len("-->")
    return "".join([*kept, output[at:]])
