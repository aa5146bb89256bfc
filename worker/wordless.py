"""No word of a customer or a model leaves an activity with an exception: Temporal keeps failures, and logs show them.

What an activity raises on purpose names kinds and ids. What nobody foresaw (a validation error quotes its input) goes
on as the error's type and place alone. While PostgreSQL is unavailable, it says how soon to come again.
"""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from config.logs import get_logger
from config.settings import Settings
from integrations.temporal.conversations import TemporalUnavailable
from storage.database import StatementFailed, StorageUnavailable

log = get_logger(__name__)

_MEANT = (ApplicationError, CancelledError, StatementFailed, TemporalUnavailable)
_FRAMES = 4
_DOUBLINGS = 16


class Wordless(Interceptor):
    """For a Worker's interceptors."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Wordless(next, self._settings)


class _Wordless(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, settings: Settings) -> None:
        super().__init__(next)
        self._settings = settings

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except _MEANT:
            raise
        except StorageUnavailable as error:
            raise coming_again(error, activity.info().attempt, self._settings) from None
        except Exception as error:
            raise without_words(error) from None


def coming_again(error: StorageUnavailable, attempt: int, settings: Settings) -> ApplicationError:
    """What goes on in the place of *error*: once the database is back, what waits for it goes on within seconds."""
    longest = settings.database_retry_pause_seconds
    seconds = min(settings.turn_retry_pause_seconds * 2 ** min(attempt - 1, _DOUBLINGS), longest)
    return ApplicationError(str(error), type=type(error).__name__, next_retry_delay=timedelta(seconds=seconds))


def without_words(error: Exception) -> ApplicationError:
    """What goes on in the place of *error*: its type, and where it was raised; the log has the way there."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    name = type(error).__name__
    log.error("activity_defect", error=name, places=places)
    return ApplicationError(f"{name} at {places[-1] if places else 'an unknown place'}", type=name)
