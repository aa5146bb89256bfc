"""One turn, an activity for each of its steps; how far it has come, each step learns from the database."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from workflows import options

with workflow.unsafe.imports_passed_through():
    from activities.actions import ActionActivities
    from activities.turn import TurnActivities
    from schemas.conversations import Apologize, Limits, NextStep, Perform, TurnOutcome, TurnRequest
    from schemas.failures import ModelFailureKind

_WHY = {
    NextStep.AGAIN: "ask from the beginning, for the conversation started over meanwhile",
    NextStep.REPAIR: "ask again, for the output could not be used",
    NextStep.CONCLUDE: "ask for the final words, with the action's result",
}


async def run_turn(request: TurnRequest, limits: Limits, number: int) -> TurnOutcome:
    """Until it is finished, or waits for room at the account. *number* is for operators.

    Raises FailureError when the database cannot be reached for too long, or the run is cancelled.
    """
    outcome = await _ask(request, NextStep.FINISHED, limits, number)
    while outcome.step not in (NextStep.FINISHED, NextStep.WAIT):
        if outcome.step is NextStep.PERFORM:
            outcome = await _perform(outcome, limits, number)
        else:
            outcome = await _ask(request, outcome.step, limits, number)
    return outcome


async def _ask(request: TurnRequest, step: NextStep, limits: Limits, number: int) -> TurnOutcome:
    """The turn's first step, or after an outcome that asks for more, its next."""
    why = _WHY.get(step) or f"ask Perplexity about what came after message {request.cursor}"
    try:
        return await workflow.execute_activity_method(
            TurnActivities.answer, request, summary=f"Turn {number}: {why}", **options.asking(limits)
        )
    except ActivityError as error:
        raise_if_cancelled(error)
        return await workflow.execute_activity_method(
            TurnActivities.apologize,
            Apologize(**request.model_dump(), failure=_failure(error)),
            summary=f"Turn {number}: tell the customer that there is no answer ({_failure(error)})",
            **options.writing(limits),
        )


async def _perform(outcome: TurnOutcome, limits: Limits, number: int) -> TurnOutcome:
    if outcome.action_id is None:
        raise ApplicationError("an action is to be done, and it is not said which", type="NoAction")
    return await workflow.execute_activity_method(
        ActionActivities.perform,
        Perform(action_id=outcome.action_id),
        summary=f"Turn {number}: do what was decided",
        **options.acting(limits),
    )


def raise_if_cancelled(error: FailureError) -> None:
    """A cancelled run ends; what its activity then reports is no failure of the turn."""
    if is_cancelled_exception(error):
        raise error


def _failure(error: ActivityError) -> ModelFailureKind:
    """The kind of failure that used up the tries; a worker that vanished has none of its own."""
    if isinstance(error.cause, ApplicationError) and error.cause.type in set(ModelFailureKind):
        return ModelFailureKind(error.cause.type)
    return ModelFailureKind.ABANDONED
