"""Folding: what a reader would take two spellings for the same. Finds look-alikes; never makes a name valid.

A folded text has no case, no width, no invisible characters, no foreign letters that look Latin, one kind of quote.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_LOOKALIKES = str.maketrans(
    "аеорсхуіѕјԁһɡӏктмнвαοεικνρτυχıℓɑ",
    "aeopcxyisjdhglktmhbaoeikvptuxila",
)
_QUOTES = str.maketrans(dict.fromkeys("'“”„‟«»‘’‚‛‹›`´", '"'))
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]"
)
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


def without_invisible(text: str) -> str:
    """*text* without zero-width, direction, variation and tag characters."""
    return _INVISIBLE.sub("", text)


def folded(text: str) -> str:
    """*text* with look-alikes made alike and every kind of quote as `"`; line breaks stay."""
    plain = unicodedata.normalize("NFKC", without_invisible(text)).casefold()
    plain = plain.replace("&quot;", '"').replace('\\"', '"').translate(_QUOTES)
    return plain.translate(_LOOKALIKES)


def skeleton(name: str) -> str:
    """What is left of a name when spelling does not count: `Handoff-Sales` and `handoff_sales` are the same."""
    return _NOT_ALPHANUMERIC.sub("", folded(name))


class KnownNames:
    """The actions' names, for exact and for look-alike matches."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self._skeletons = {skeleton(name) for name in self.names}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self.names

    def resembled_by(self, name: object) -> bool:
        """Whether *name* is a known name, or a reader would take it for one."""
        return isinstance(name, str) and len(name) <= 200 and skeleton(name) in self._skeletons
