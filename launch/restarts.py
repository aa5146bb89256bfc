"""How often a part may come back, and after how long a pause. Pure: the caller brings the time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass
class RestartBudget:
    """At most *limit* restarts within *window* seconds; each pause is twice the one before, up to *pause_max*."""

    limit: int
    window: float
    pause: float
    pause_max: float
    _restarts: deque[float] = field(default_factory=deque)

    def next_pause(self, now: float) -> float | None:
        """Counts a restart at *now* (seconds of any clock) and gives its pause; None: that is too often."""
        while self._restarts and self._restarts[0] <= now - self.window:
            self._restarts.popleft()
        if len(self._restarts) >= self.limit:
            return None
        pause: float = self.pause * 2 ** len(self._restarts)
        self._restarts.append(now)
        return min(pause, self.pause_max)
