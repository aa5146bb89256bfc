"""Text that can be stored and sent: JSON may hold characters that neither UTF-8 nor PostgreSQL takes."""

from __future__ import annotations


def storable(text: str) -> str:
    """*text* without NUL; halves of a surrogate pair are joined, or replaced where one is alone.

    A pair comes in halves when upstream cuts its chunks between them.
    """
    text = text.replace("\x00", "")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
