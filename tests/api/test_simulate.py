"""`POST /api/actions/simulate` and `GET /api/prompt-pack`: everything is shown, nothing is done."""

from __future__ import annotations

import json

import pytest

from schemas.actions import ActionDefinition, AssistantActions, Confirmation, Endpoint
from schemas.assistants import AssistantConfig
from tests.system_in_process import System

TICKET = {"action": "create_ticket", "reason": "Broken", "metadata": {"subject": "Lamp", "description": "Broken lamp"}}


async def test_an_action_is_judged_and_not_done(system: System) -> None:
    simulated = (await system.http.post("/api/actions/simulate", json={"output": json.dumps(TICKET)})).json()

    assert simulated["verdict"] == "action"
    assert simulated["gate"]["allowed"] is True
    assert simulated["confirmation"] == {"needed": False, "by": "none", "question": None}
    assert simulated["handler"]["name"] == "create_ticket"
    assert "Lamp" in simulated["handler"]["would_do"]
    assert await system.database.rows("SELECT 1 FROM tickets") == []


async def test_the_object_itself_is_taken_too(system: System) -> None:
    simulated = (await system.http.post("/api/actions/simulate", json=TICKET)).json()

    assert simulated["action"] == TICKET


async def test_the_objects_pack_is_taken_as_the_models_is(system: System) -> None:
    simulated = (await system.http.post("/api/actions/simulate", json={**TICKET, "pack": "abc"})).json()
    wrong = (await system.http.post("/api/actions/simulate", json={**TICKET, "pack": 5})).json()

    assert (simulated["verdict"], simulated["action"]) == ("action", {**TICKET, "pack": "abc"})
    assert [error["path"] for error in wrong["errors"]] == ["/pack"]


async def test_the_question_is_what_staff_read_where_staff_is_asked(system: System) -> None:
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}))
    await system.services.configurations.apply("default", config, "test")
    simulated = (await system.http.post("/api/actions/simulate", json=TICKET)).json()
    system.perplexity.scripts.append(json.dumps(TICKET))
    await system.send("My lamp broke")
    [question] = (await system.session())["questions"]

    assert simulated["confirmation"] == {"needed": True, "by": "staff", "question": question["text"]}


async def test_a_long_output_is_told_in_characters(system: System) -> None:
    refused = (await system.http.post("/api/actions/simulate", json={"output": "x" * 200_001})).json()

    [error] = refused["errors"]
    assert error == {"path": "/body/output", "message": "String should have at most 200000 characters"}


async def test_errors_name_their_place(system: System) -> None:
    wrong = {**TICKET, "metadata": {"subject": "Lamp", "colour": "red"}}

    simulated = (await system.http.post("/api/actions/simulate", json=wrong)).json()

    assert simulated["verdict"] == "invalid"
    assert {(error["path"], error["code"]) for error in simulated["errors"]} == {
        ("/metadata/description", "missing"),
        ("/metadata/colour", "unknown_field"),
    }
    assert simulated["gate"]["allowed"] is False


async def test_the_customers_state_and_the_configuration_count(system: System) -> None:
    config = AssistantConfig(actions=AssistantActions(confirmations={"create_ticket": Confirmation.STAFF}))
    await system.services.configurations.apply("default", config, "test")
    asked_back = (await system.http.post("/api/actions/simulate", json=TICKET)).json()
    await system.send("Hello")
    await system.http.post("/api/session/c-1/state", json={"state": "human_handoff", "reason": "mine"})

    held = (await system.http.post("/api/actions/simulate", json={**TICKET, "customer_id": "c-1"})).json()

    assert asked_back["confirmation"]["by"] == "staff"
    assert held["gate"]["allowed"] is False


async def test_the_next_state_is_the_one_after_the_action(system: System) -> None:
    async def after(action: str, **metadata: str) -> str:
        body = {"action": action, "reason": "r", "metadata": metadata}
        return str((await system.http.post("/api/actions/simulate", json=body)).json()["gate"]["next_state"])

    assert await after("handoff_sales") == "human_handoff"
    assert await after("close_conversation") == "closed"
    assert await after("create_ticket", subject="Lamp", description="Broken") == "ticket_open"
    assert await after("ticket_status") == "bot"


async def test_the_endpoint_behind_an_action_of_ones_own_is_named(system: System) -> None:
    own = ActionDefinition(
        name="order_status",
        description="Looks up an order",
        metadata_schema={"type": "object"},
        handler="api_call",
        settings={"endpoint": "orders"},
        safe=True,
        safe_because="it only looks",
    )
    orders = Endpoint(name="orders", description="Where an order is", url="https://shop.example/orders")
    actions = AssistantActions(enabled=("order_status",), custom=(own,), endpoints=(orders,))
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")

    body = {"action": "order_status", "reason": "r"}
    simulated = (await system.http.post("/api/actions/simulate", json=body)).json()

    assert simulated["handler"]["would_do"] == "call the endpoint orders with the given parameters"


@pytest.mark.parametrize("body", [{}, {"output": "x", "action": "y"}, {"output": ""}, {"output": 7}])
async def test_a_bad_request_is_422(system: System, body: dict[str, object]) -> None:
    assert (await system.http.post("/api/actions/simulate", json=body)).status_code == 422


@pytest.mark.parametrize("field", ["reason", "metadata", "pack"])
async def test_what_belongs_to_an_action_is_refused_beside_an_output(system: System, field: str) -> None:
    refused = await system.http.post("/api/actions/simulate", json={"output": json.dumps(TICKET), field: "x"})

    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["message"].endswith(f"an output holds its own {field}: send either output or the action's fields")


async def test_the_prompt_pack_is_what_turns_are_told(system: System) -> None:
    pack = (await system.http.get("/api/prompt-pack")).json()
    await system.send("Hello")

    assert pack["text"] in system.perplexity.prompts[0].text
    [turn] = await system.database.rows("SELECT prompt_pack FROM turns")
    assert turn["prompt_pack"] == pack["version"]
    assert (await system.http.get("/api/prompt-pack?assistant=nobody")).status_code == 422


async def test_a_customers_own_assistant_is_asked(system: System) -> None:
    asking = AssistantActions(confirmations={"create_ticket": Confirmation.CUSTOMER})
    await system.services.configurations.apply("german", AssistantConfig(actions=asking, language="de"), "test")
    await system.send("Hallo", customer="c-de", assistant="german")

    own = (await system.http.post("/api/actions/simulate", json={**TICKET, "customer_id": "c-de"})).json()
    named = {**TICKET, "customer_id": "c-de", "assistant": "default"}
    other = (await system.http.post("/api/actions/simulate", json=named)).json()

    assert own["confirmation"]["by"] == "customer"
    assert own["confirmation"]["question"].startswith("Soll ich")
    assert other["confirmation"]["by"] == "none"


@pytest.mark.parametrize(
    ("twice", "path"),
    [
        ('"metadata": {"subject": "a", "description": "b", "subject": "c"}', "/metadata/subject"),
        ('"metadata": {"subject": "a", "description": "b"}, "metadata": {}', "/metadata"),
        ('"metadata": {"subject": "a", "description": "b"}, "action": "close_conversation"', "/action"),
    ],
)
async def test_a_key_that_is_there_twice_is_refused_as_in_an_output(system: System, twice: str, path: str) -> None:
    written = f'{{"action": "create_ticket", "reason": "r", {twice}'
    headers = {"Content-Type": "application/json"}

    call = system.http.post("/api/actions/simulate", content=f'{written}, "customer_id": "c-1"}}', headers=headers)
    simulated = (await call).json()
    as_output = (await system.http.post("/api/actions/simulate", json={"output": written + "}"})).json()

    assert simulated["verdict"] == "invalid"
    assert (path, "duplicate_key") in {(error["path"], error["code"]) for error in simulated["errors"]}
    assert simulated == as_output
