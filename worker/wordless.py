"""No word of a customer or a model leaves an activity with an exception: Temporal keeps failures, and logs show them.

What an activity raises on purpose names kinds and ids. What nobody foresaw (a validation error quotes its input) goes
on as the error's type and place alone.
"""

from __future__ import annotations

import traceback
from typing import Any

from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from config.logs import get_logger
from integrations.temporal.conversations import TemporalUnavailable
from storage.database import StatementFailed, StorageUnavailable

log = get_logger(__name__)

_MEANT = (ApplicationError, CancelledError, StorageUnavailable, StatementFailed, TemporalUnavailable)
_FRAMES = 4


class Wordless(Interceptor):
    """For a Worker's interceptors."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Wordless(next)


class _Wordless(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            return await super().execute_activity(input)
        except _MEANT:
            raise
        except Exception as error:
            raise without_words(error) from None


def without_words(error: Exception) -> ApplicationError:
    """What goes on in the place of *error*: its type, and where it was raised; the log has the way there."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    name = type(error).__name__
    log.error("activity_defect", error=name, places=places)
    return ApplicationError(f"{name} at {places[-1] if places else 'an unknown place'}", type=name)
