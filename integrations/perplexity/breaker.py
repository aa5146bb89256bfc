"""A circuit breaker: after several failures to reach the model in a row, nobody knocks for a while.

The wrapper runs out of file descriptors after some 490 calls and then refuses each one at once, while `/health`
stays green (docs/wrapper.md): a state to be noticed, not hammered.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from config.logs import get_logger
from schemas.failures import WAITED_OUT, ModelFailureKind

log = get_logger(__name__)


class CircuitBreaker:
    """Closed, it lets all through. Open, it lets one through every *open_seconds*, to see whether it works again.

    Needs no settling of that one trial: if its caller goes away, the next period brings another.
    """

    def __init__(self, failures: int, open_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0

    def wait(self) -> float:
        """0: go ahead. Else seconds until the next trial; do not ask before."""
        if self._failures < self._limit:
            return 0.0
        remaining = self._open_until - self._clock()
        if remaining > 0:
            return remaining
        self._open_until = self._clock() + self._open_seconds
        return 0.0

    def failed(self, kind: ModelFailureKind) -> None:
        """A call failed; a failure of another kind shows that the wrapper was reached."""
        if kind is ModelFailureKind.BUSY_HERE:
            return None  # nothing left this machine, so nothing was learnt
        if kind not in WAITED_OUT:
            return self.reached()
        self._failures += 1
        if self._failures >= self._limit:
            self._open_until = self._clock() + self._open_seconds
            log.warning("perplexity_unreachable", failures=self._failures, open_seconds=self._open_seconds)
        return None

    def reached(self) -> None:
        """The wrapper answers: closed again."""
        if self._failures >= self._limit:
            log.info("perplexity_reachable_again", failures=self._failures)
        self._failures = 0
