"""`POST /api/actions/simulate` and `GET /api/prompt-pack`: see what would happen, and what the model is told."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from actions.prompt_pack import prompt_pack
from actions.registry import Registry
from actions.simulation import NOBODY_YET, Simulation, simulate
from activities.action_handlers import ActionCall, dry_run
from api.as_written import fields_as_written
from api.pages import GOES_ON, Before, Limit, name_next, page_of
from api.problems import ProblemError, problem_docs
from api.services import Services, Serving
from schemas.assistants import Assistant
from schemas.cursors import Cursor, Moment
from schemas.requests import AssistantName, ChannelName, CustomerId, not_blank, storable
from schemas.turns import Drift

router = APIRouter(prefix="/api", tags=["actions"], responses=problem_docs(401, 403, 422, 503))


JUDGED = ("action", "reason", "metadata", "pack")
"""The fields that are an action, which the verdict judges as they were written."""


RawOutput = Annotated[str, Field(max_length=200_000), AfterValidator(storable), AfterValidator(not_blank)]


class SimulateRequest(BaseModel):
    """A raw output, or the action's object itself. With a customer, that conversation's state is the gate's, and its
    assistant the one that is asked, unless another is named."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {"output": '{"action": "handoff_sales", "reason": "Wants a quote", "metadata": {}}'},
                {"customer_id": "c-1042", "action": "ticket_status", "reason": "Asked for it", "metadata": {}},
            ]
        },
    )

    customer_id: CustomerId | None = None
    channel: ChannelName = "http"
    assistant: AssistantName | None = None
    output: RawOutput | None = None
    action: Any = None
    reason: Any = None
    metadata: Any = None
    pack: Any = None

    @model_validator(mode="after")
    def _one_of_both(self) -> SimulateRequest:
        if (self.output is None) == (self.action is None):
            raise ValueError("send either output or action")
        beside = next((name for name in JUDGED if self.output is not None and getattr(self, name) is not None), None)
        if beside is not None:
            raise ValueError(f"an output holds its own {beside}: send either output or the action's fields")
        return self


class ShownPack(BaseModel):
    """`text` goes into the Perplexity Space; `version` is stored with every turn that was told it."""

    assistant: str
    version: str
    text: str
    encoded_bytes: int


@router.post("/actions/simulate", summary="What parser, validator, gate and handler would do; nothing is done")
async def simulate_action(request: Request, body: SimulateRequest, services: Serving) -> Simulation:
    """The verdict on an output, its errors, whether it is allowed in the conversation's state, and who must agree."""
    session = None if body.customer_id is None else await services.sessions.find(body.channel, body.customer_id)
    assistant = await _assistant(body.assistant or (session.assistant if session else "default"), services)
    registry = Registry(assistant.config.actions)
    standing = await services.standings.of(session.conversation_id) if session else NOBODY_YET
    language = assistant.config.language or services.settings.default_language
    raw = fields_as_written(await request.body(), JUDGED) if body.output is None else body.output
    simulation = simulate(raw, registry, standing, language)
    definition = registry.rules_for(simulation.action) if simulation.action else None
    if simulation.action is None or definition is None:
        return simulation
    would_do = dry_run(ActionCall(simulation.action, definition, registry)) if simulation.gate.allowed else None
    handler = simulation.handler.model_copy(update={"would_do": would_do})
    return simulation.model_copy(update={"handler": handler})


@router.get("/prompt-pack", summary="What to put into the Perplexity Space")
async def show_prompt_pack(
    services: Serving, assistant: Annotated[AssistantName, Query(description="Which bot")] = "default"
) -> ShownPack:
    """Instructions, schemas and examples, generated from the actions that are on."""
    registry = Registry((await _assistant(assistant, services)).config.actions)
    pack = prompt_pack(registry, services.settings.prompt_pack_bytes)
    return ShownPack(assistant=assistant, version=pack.version, text=pack.text, encoded_bytes=pack.encoded_bytes)


@router.get("/drift", summary="Outputs of the model that could not be used, newest first", responses=GOES_ON)
async def drift(
    services: Serving,
    response: Response,
    limit: Limit = 50,
    before: Before = None,
    since: Annotated[Moment | None, Query(description="Only those written at this moment or later")] = None,
) -> list[Drift]:
    """Each with its errors and the version of the prompt pack the model had: mend the Space first, not the code. The
    header `Next-Before` is the `before` of the page after this one; the last has none."""
    page, after = await page_of(
        "drift",
        before,
        limit,
        lambda rows, cursor: services.turns.drift(rows, cursor, since),
        lambda row: Cursor(at=row.created_at, id=row.raw_output_id),
    )
    name_next(response, after)
    return page


async def _assistant(name: str, services: Services) -> Assistant:
    if name not in await services.configurations.names():
        raise ProblemError(422, f"There is no assistant {name!r}.")
    return await services.configurations.newest(name)
