"""What parser, validator and gate would make of an output: the pure part of `POST /api/actions/simulate`."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field

from actions.confirmation_text import action_text, question_text
from actions.gates import evaluate, evaluate_action, event_of
from actions.reading import read_output
from actions.registry import Registry
from schemas.actions import ActionDefinition, ActionRequest, Confirmation
from schemas.standing import Standing
from schemas.transitions import Event
from schemas.turns import OutputError, State, Verdict

NOBODY_YET = Standing()
"""Of a customer who writes for the first time."""


class SimulatedGate(BaseModel):
    allowed: bool = False
    why: str = "there is no action"
    next_state: State | None = None


class SimulatedConfirmation(BaseModel):
    needed: bool = False
    by: Confirmation = Confirmation.NONE
    question: str | None = None


class SimulatedHandler(BaseModel):
    """`would_do` is filled by the handler's dry run."""

    name: str | None = None
    would_do: str | None = None


class Simulation(BaseModel):
    """What `POST /api/actions/simulate` answers. Nothing was done."""

    verdict: Verdict
    action: ActionRequest | None = None
    errors: list[OutputError] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    gate: SimulatedGate = Field(default_factory=SimulatedGate)
    confirmation: SimulatedConfirmation = Field(default_factory=SimulatedConfirmation)
    handler: SimulatedHandler = Field(default_factory=SimulatedHandler)


def simulate(
    output: str | dict[str, Any], registry: Registry, standing: Standing = NOBODY_YET, language: str = "en"
) -> Simulation:
    """Reads *output* (raw, or the action's object itself) as if the model had written it in a conversation that stands
    as *standing*."""
    raw = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    parsed = read_output(raw, registry)
    simulation = Simulation(verdict=parsed.verdict, action=parsed.action, errors=parsed.errors, notes=parsed.notes)
    return simulation if parsed.action is None else _judged(simulation, parsed.action, registry, standing, language)


def _judged(
    simulation: Simulation, request: ActionRequest, registry: Registry, standing: Standing, language: str
) -> Simulation:
    rules = registry.rules_for(request)
    gate = evaluate(Event.MESSAGE, standing, registry.config)  # the one that the action comes after
    if not gate.hold:
        enabled = request.action in registry.enabled
        gate = evaluate_action(gate.after, rules, registry.config, enabled=enabled)
    allowed = gate.allowed and not gate.hold
    by = gate.confirm_by
    done = allowed and rules is not None and by is Confirmation.NONE
    after = _after_doing(rules, gate.after) if done and rules else gate.after
    simulated = SimulatedGate(allowed=allowed, why=gate.why, next_state=after.state)
    asked = _asked(by, rules, request, registry, language) if rules else None
    confirmation = SimulatedConfirmation(needed=by is not Confirmation.NONE, by=by, question=asked)
    handler = SimulatedHandler(name=rules.handler if rules else None)
    return simulation.model_copy(update={"gate": simulated, "confirmation": confirmation, "handler": handler})


def _asked(
    by: Confirmation, definition: ActionDefinition, request: ActionRequest, registry: Registry, language: str
) -> str | None:
    """What the customer is asked, or what staff read: them nobody tells to answer yes or no."""
    if by is Confirmation.NONE:
        return None
    words = action_text if by is Confirmation.STAFF else question_text
    return words(definition, registry.parameters_of(request), language)


def _after_doing(definition: ActionDefinition, standing: Standing) -> Standing:
    """How the conversation would stand once the action is done."""
    if definition.handler == "create_ticket":
        standing = standing.model_copy(update={"tickets": (*standing.tickets, "new")})
    event = event_of(definition)
    return standing if event is None else evaluate(event, standing).after
