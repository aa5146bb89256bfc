"""The registry: which actions there are, which of them are on for an assistant, and what each demands.

An action that is declared but off is understood when the model writes it, and then refused by the gates. Made
from the built-ins and one assistant's configuration; immutable, so it is kept as long as that is in force.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from actions.builtin import BUILT_IN_ACTIONS, METADATA_MODELS
from actions.confirmation_text import Parameters
from actions.endpoint_checks import endpoint_problems
from actions.folding import KnownNames, skeleton
from actions.gates import event_of
from actions.metadata_schemas import schema_problems, subschemas
from actions.relaxed_json import escaped
from actions.sensitive import HIDDEN, has_sensitive, without_sensitive
from actions.validation import model_errors, schema_errors
from actions.visible import unseen_labels, unseen_texts
from schemas.actions import (
    API_CALL,
    ActionDefinition,
    ActionRequest,
    AssistantActions,
    ConfigurationProblem,
    Confirmation,
    Endpoint,
)
from schemas.turns import ErrorCode, OutputError

_INDEX = re.compile(r"[0-9]{1,4}")


class Registry:
    """The declared actions, and which of them are on for one assistant."""

    def __init__(self, config: AssistantActions | None = None) -> None:
        """Takes *config* as it is; `configuration_problems` is for checking it first, when it is saved."""
        self.config = config or AssistantActions()
        every = {each.name: each for each in (*self.config.custom, *BUILT_IN_ACTIONS)}
        self._endpoints = {each.name: each for each in self.config.endpoints}
        self._definitions = {name: self._configured(definition) for name, definition in every.items()}
        self.known = KnownNames(self._definitions)
        schemas = [each.metadata_schema for each in self.config.custom]
        schemas += [each.params_schema for each in self.config.endpoints]
        self.has_sensitive = has_sensitive(schemas)
        schemas += [ActionRequest.model_json_schema(), *(each.metadata_schema for each in BUILT_IN_ACTIONS)]
        self._fields = frozenset(["", *(escaped(name) for schema in schemas for name in _fields_of(schema))])
        self.enabled = frozenset(
            name for name in self.known.names.intersection(self.config.enabled) if name != API_CALL or self._endpoints
        )

    def __iter__(self) -> Iterator[ActionDefinition]:
        """The definitions of those that are on, by name."""
        return iter([self._definitions[name] for name in sorted(self.enabled)])

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What `api_call` reaches, by name; empty if that is not on."""
        return tuple(self._endpoints[name] for name in sorted(self._endpoints)) if API_CALL in self.enabled else ()

    def get(self, name: str) -> ActionDefinition | None:
        """The definition of a declared action, on or off."""
        return self._definitions.get(name)

    def endpoint(self, name: object) -> Endpoint | None:
        return self._endpoints.get(name) if isinstance(name, str) else None

    def rules_for(self, request: ActionRequest) -> ActionDefinition | None:
        """The definition that holds for *request*: for `api_call` with what its endpoint demands. None: unknown."""
        definition = self.get(request.action)
        endpoint = self.endpoint(request.metadata.get("endpoint")) if request.action == API_CALL else None
        if definition is None or endpoint is None:
            return definition if request.action != API_CALL else None
        demands: dict[str, Any] = {
            "destructive": endpoint.destructive,
            "safe": endpoint.is_safe,
            "description": endpoint.description,
            "plain": endpoint.plain,
            "retries": endpoint.retries,
            "time_limit_seconds": endpoint.time_limit_seconds,
        }
        demands["confirmation"] = Confirmation.strictest(definition.confirmation, endpoint.confirmed_by)
        return definition.model_copy(update=demands)

    def parameters_of(self, request: ActionRequest) -> Parameters:
        """What people are shown of *request*: of an `api_call` its parameters, never the endpoint's name."""
        endpoint = self.endpoint(request.metadata.get("endpoint")) if request.action == API_CALL else None
        if endpoint is not None:
            return Parameters(endpoint.params_schema, request.metadata.get("params", {}))
        definition = self.get(request.action)
        schema = definition.metadata_schema if definition else {}
        return Parameters(schema, self.shown_metadata(request.action, request.metadata))

    def shown_metadata(self, name: str, metadata: dict[str, Any]) -> dict[str, Any]:
        """*metadata* of the action *name* as people see it: without what is sensitive, or of which nobody can say."""
        if name == API_CALL:
            endpoint, params = self.endpoint(metadata.get("endpoint")), metadata.get("params")
            if not isinstance(params, dict):
                return metadata if params is None else {**metadata, "params": HIDDEN}
            known = without_sensitive(endpoint.params_schema, params) if endpoint else dict.fromkeys(params, HIDDEN)
            return {**metadata, "params": known}
        definition = self.get(name)
        if definition is None:
            return dict.fromkeys(metadata, HIDDEN)
        behind = self.endpoint(definition.settings.get("endpoint"))
        values = without_sensitive(behind.params_schema, metadata) if behind else metadata
        return without_sensitive(definition.metadata_schema, values)

    def is_field(self, name: str) -> bool:
        """Whether a definition has a field of that name: it is no word of the model's own then."""
        return escaped(name) in self._fields

    def known_path(self, path: str) -> str:
        """*path*, a JSON pointer into an output, with `…` for each name that is in no definition: the model's words."""
        return "/".join(each if each in self._fields or _INDEX.fullmatch(each) else "…" for each in path.split("/"))

    def endpoint_of(self, request: ActionRequest, definition: ActionDefinition) -> Endpoint | None:
        """What an `api_call` reaches. An administrator's own action names its endpoint in its settings."""
        return self.endpoint(definition.settings.get("endpoint") or request.metadata.get("endpoint"))

    def metadata_errors(self, name: str, metadata: dict[str, Any], under: str = "/metadata") -> list[OutputError]:
        """What is wrong with the metadata of the known action *name*."""
        model = METADATA_MODELS.get(name)
        if model is None:
            return schema_errors(self._definitions[name].metadata_schema, metadata, under)
        errors = model_errors(model, metadata, under)
        return errors or (self._call_errors(metadata, under) if name == API_CALL else [])

    def _call_errors(self, metadata: dict[str, Any], under: str) -> list[OutputError]:
        endpoint = self.endpoint(metadata["endpoint"])
        if endpoint is None:
            names = ", ".join(each.name for each in self.endpoints) or "none"
            message = f"unknown endpoint; there are: {names}"
            return [OutputError(path=f"{under}/endpoint", message=message, code=ErrorCode.UNKNOWN_ENDPOINT)]
        return schema_errors(endpoint.params_schema, metadata["params"], f"{under}/params")

    def _configured(self, definition: ActionDefinition) -> ActionDefinition:
        """With who is asked: the strictest of what it says itself, its endpoint, and the assistant by its name."""
        endpoint = self.endpoint(definition.settings.get("endpoint"))
        by_name = self.config.confirmations.get(definition.name, Confirmation.NONE)
        behind = endpoint.confirmed_by if endpoint else Confirmation.NONE
        asked = Confirmation.strictest(definition.confirmed_by, behind, by_name)
        return definition.model_copy(update={"confirmation": asked})


def configuration_problems(config: AssistantActions) -> list[ConfigurationProblem]:
    """What keeps *config* from being saved, with JSON pointers into it; empty if it is fine."""
    problems = [*_name_problems(config), *_safety_problems(config), *_owner_problems(config)]
    problems += unseen_texts(config.model_dump())
    for index, definition in enumerate(config.custom):
        found = schema_problems(definition.metadata_schema)
        problems += _under(f"/custom/{index}/metadata_schema", found or unseen_labels(definition.metadata_schema))
        if not found and definition.example:
            at_fault = schema_errors(definition.metadata_schema, definition.example)
            problems += _under(f"/custom/{index}/example", at_fault)
    problems += endpoint_problems(config)
    return problems


def _name_problems(config: AssistantActions) -> Iterator[ConfigurationProblem]:
    built_in = {skeleton(name) for name in METADATA_MODELS}
    seen: set[str] = set()
    for index, definition in enumerate(config.custom):
        alike = skeleton(definition.name)
        if alike in built_in or alike in seen:
            message = "the name is that of another action, or looks like it"
            yield ConfigurationProblem(path=f"/custom/{index}/name", message=message)
        seen.add(alike)
    names = [endpoint.name for endpoint in config.endpoints]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ConfigurationProblem(path=f"/endpoints/{index}/name", message="the name is that of another endpoint")
    known = {*METADATA_MODELS, *(definition.name for definition in config.custom)}
    for index, name in enumerate(config.enabled):
        if name not in known:
            yield ConfigurationProblem(path=f"/enabled/{index}", message="there is no such action")
    for name in config.confirmations.keys() - known:
        yield ConfigurationProblem(path=f"/confirmations/{name}", message="there is no such action")


def _safety_problems(config: AssistantActions) -> Iterator[ConfigurationProblem]:
    """What claims to be safe says why, and nothing that destroys may claim it."""
    declared: list[tuple[str, ActionDefinition | Endpoint]] = [
        *((f"/custom/{index}", each) for index, each in enumerate(config.custom)),
        *((f"/endpoints/{index}", each) for index, each in enumerate(config.endpoints)),
    ]
    for path, each in declared:
        if each.safe and not each.safe_because:
            yield ConfigurationProblem(path=f"{path}/safe_because", message="say why it needs nobody's confirmation")
        if each.safe and each.destructive:
            yield ConfigurationProblem(path=f"{path}/safe", message="what is destructive is not safe")
        if each.safe and each.confirmation is not Confirmation.NONE:
            message = f"what is safe needs nobody's confirmation, and this asks for one by {each.confirmation}"
            yield ConfigurationProblem(path=f"{path}/safe", message=message)
    yield from _loosened(config)
    for name in sorted(name for name, by in config.confirmations.items() if by is Confirmation.NONE):
        if (why := _why_asked(name, config)) is not None:
            yield ConfigurationProblem(path=f"/confirmations/{name}", message=why)


def _loosened(config: AssistantActions) -> Iterator[ConfigurationProblem]:
    """What says that fewer are asked than is demanded elsewhere. The strictest holds, so it would not come true."""
    endpoints = {each.name: each for each in config.endpoints}
    for index, each in enumerate(config.custom):
        named = each.settings.get("endpoint")
        endpoint = endpoints.get(named) if isinstance(named, str) else None
        behind = endpoint.confirmation if endpoint else Confirmation.NONE
        asks = f"its endpoint asks for a confirmation by {behind}"
        if each.safe and behind is not Confirmation.NONE:
            yield ConfigurationProblem(path=f"/custom/{index}/safe", message=asks)
        elif each.confirmation is Confirmation.CUSTOMER and behind is Confirmation.STAFF:
            yield ConfigurationProblem(path=f"/custom/{index}/confirmation", message=asks)
        demanded = Confirmation.strictest(each.confirmation, behind)
        if config.confirmations.get(each.name) is Confirmation.CUSTOMER and demanded is Confirmation.STAFF:
            message = "the action, or its endpoint, asks for a confirmation by staff; nothing loosens that"
            yield ConfigurationProblem(path=f"/confirmations/{each.name}", message=message)


def _owner_problems(config: AssistantActions) -> Iterator[ConfigurationProblem]:
    """What an action says of who has the conversation after it, and could not come true."""
    for index, each in enumerate(config.custom):
        if each.leads_to not in {None, each.owner_after}:
            message = f"what handler {each.handler} does leads to {each.owner_after}"
            yield ConfigurationProblem(path=f"/custom/{index}/leads_to", message=message)
        if each.returns_result and event_of(each) is not None:
            message = "the model has no words after an action that leads to human or closed"
            yield ConfigurationProblem(path=f"/custom/{index}/returns_result", message=message)


def _why_asked(name: str, config: AssistantActions) -> str | None:
    """Why somebody is asked to confirm the action *name*, whatever `confirmations` says; None: nobody need be."""
    if name == API_CALL:
        return "each endpoint says for itself whether it is safe; what is not safe is never called without confirmation"
    asking = [each.name for each in config.endpoints if each.confirmed_by is not Confirmation.NONE]
    for each in (each for each in config.custom if each.name == name):
        if not each.safe:
            return "only an action that is declared safe is done without confirmation"
        if each.confirmation is not Confirmation.NONE:
            return f"the action itself asks for a confirmation by {each.confirmation}"
        if each.settings.get("endpoint") in asking:
            return "only an action whose endpoint is safe, and asks nobody, is done without confirmation"
    return None


def _fields_of(schema: dict[str, Any]) -> Iterator[str]:
    for _, part in subschemas(schema):
        yield from part.get("properties", ())


def _under(path: str, problems: Iterable[ConfigurationProblem | OutputError]) -> list[ConfigurationProblem]:
    return [ConfigurationProblem(path=path + problem.path, message=problem.message) for problem in problems]
