"""How long each kind of activity may take, and how it is tried again: from the limits of the run."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from schemas.conversations import Limits
    from workflows import policy


class Options(TypedDict, total=False):
    """Of `workflow.execute_activity_method`."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    heartbeat_timeout: timedelta
    retry_policy: RetryPolicy
    cancellation_type: ActivityCancellationType


def reading(limits: Limits) -> Options:
    """What a run cannot go on without: quick, and tried until the database is there, for hours if need be."""
    return {"start_to_close_timeout": limits.database_activity_timeout, "retry_policy": _retries(limits)}


def writing(limits: Limits) -> Options:
    """What somebody waits for: quick, safe to repeat, given up with the turn."""
    return {**reading(limits), "schedule_to_close_timeout": limits.turn_give_up}


def asking(limits: Limits) -> Options:
    """What asks the model: slow, watched by heartbeats, tried again as the failure says."""
    return {
        "start_to_close_timeout": limits.turn_timeout,
        "schedule_to_close_timeout": limits.turn_give_up,
        "heartbeat_timeout": limits.turn_heartbeat,
        "retry_policy": _retries(limits),
    }


def acting(limits: Limits) -> Options:
    """What does an action: for as long, and as often, as its definition says."""
    return {
        "start_to_close_timeout": limits.action_timeout,
        "schedule_to_close_timeout": policy.action_give_up(limits),
        "heartbeat_timeout": limits.turn_heartbeat,
        "retry_policy": _retries(limits),
    }


def fetching(limits: Limits) -> Options:
    """What moves files over a channel: slow, watched by heartbeats."""
    return {
        "start_to_close_timeout": limits.delivery_timeout,
        "schedule_to_close_timeout": limits.delivery_give_up,
        "heartbeat_timeout": limits.turn_heartbeat,
        "retry_policy": _retries(limits),
    }


def delivering(limits: Limits) -> Options:
    """What sends: a cancelled run ends only after it, so that nothing leaves once it has ended."""
    return {**fetching(limits), "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED}


def _retries(limits: Limits) -> RetryPolicy:
    return RetryPolicy(initial_interval=limits.turn_retry_pause, maximum_interval=limits.turn_retry_pause_max)
