"""Messages that the model is not asked about: taken back, over a limit, or of a kind that nobody can read here."""

from __future__ import annotations

from activities.bots import Bot
from storage.turns import TakenTurn

_UNREADABLE = {"unknown", "unsupported"}


def set_aside(turn: TakenTurn, bot: Bot) -> str | None:
    """What the turn ends with, without asking the model ("": nothing is said); None if there is something to ask."""
    counting = turn.counting
    if not counting:
        return bot.texts.over_limit if _to_be_told(turn) else ""
    if all(message.kind in _UNREADABLE for message in counting):
        return told_too(bot.texts.unreadable, turn, bot)
    return None


def told_too(reply: str | None, turn: TakenTurn, bot: Bot) -> str | None:
    """*reply*, and that further messages were over the limit, if the customer has not been told of that."""
    return f"{reply}\n\n{bot.texts.over_limit}" if reply and _to_be_told(turn) else reply


def _to_be_told(turn: TakenTurn) -> bool:
    return any(message.limited == "tell" for message in turn.messages)
