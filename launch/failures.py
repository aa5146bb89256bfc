"""What stops a start, said so that one line is enough for the user."""

from __future__ import annotations


class LaunchError(Exception):
    """The system cannot start or go on. The message is one line: what is wrong, and what to do about it."""


class StopRequested(Exception):
    """The user asked for the end before everything had started."""
