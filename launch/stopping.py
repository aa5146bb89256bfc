"""When the user asked for the end: what starts and watches looks here, and STOP_SECONDS count from here."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from launch.failures import StopRequested


class StopClock:
    """*since*: when the end was asked for first, on the monotonic clock; None as long as nobody did."""

    def __init__(self, since: float | None = None) -> None:
        self.since = since
        self._interrupts = False

    def asked(self) -> bool:
        return self.since is not None

    def listen(self) -> None:
        """Hears SIGTERM, Ctrl-C and SIGHUP from now on; a SIGHUP that is ignored (`nohup`) stays so."""
        numbers = [signal.SIGTERM, signal.SIGINT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            signal.signal(number, self._hear)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within, the first signal raises StopRequested at once, whatever call it meets: for looks at a part that may
        be frozen, and of which nothing is left when they are broken off."""
        self._interrupts = True
        try:
            if self.asked():
                raise StopRequested
            yield
        finally:
            self._interrupts = False

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.since is None:
            self.since = time.monotonic()
        if self._interrupts:
            self._interrupts = False
            raise StopRequested
