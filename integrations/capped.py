"""Reads a body that somebody else sends, and no more of it than is wanted: the one place where that is counted."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator

_PIECE = 65_536


class TooLarge(Exception):
    """More bytes came than are taken."""


async def whole(pieces: AsyncIterable[bytes], limit: int) -> bytes:
    """All of it. Raises TooLarge as soon as more than *limit* bytes have come."""
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > limit:
            raise TooLarge(f"more than {limit} bytes")
    return bytes(body)


async def beginning(pieces: AsyncIterable[bytes], limit: int) -> bytes:
    """Its first *limit* bytes; what comes behind them is not read."""
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) >= limit:
            break
    return bytes(body[:limit])


async def unpacked(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """What was packed with gzip or deflate, in small pieces: a bomb is as large as what is taken of it.

    Raises zlib.error where it is not whole.
    """
    packed = zlib.decompressobj(wbits=47)  # 32 and the largest window: either form, by its head
    async for piece in pieces:
        while piece:
            yield packed.decompress(piece, _PIECE)
            piece = packed.unconsumed_tail
    yield packed.flush()
    if not packed.eof:
        raise zlib.error("it is not whole")
