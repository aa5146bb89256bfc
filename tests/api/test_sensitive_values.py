"""A sensitive value reaches the service it is for, and nobody else: no answer, stream, list, page or log shows it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from actions.sensitive import HIDDEN
from cli.conversations import summary_of
from cli.standing import conversation_text
from schemas.actions import AssistantActions, Confirmation, Endpoint
from schemas.assistants import AssistantConfig
from storage.overview import Overview
from storage.turn_views import TurnViews
from tests.support.shop import output
from tests.system_in_process import System

PIN = "4711-MARK"
PAY = Endpoint(
    name="pay",
    description="Pays",
    method="POST",
    plain="pay for you",
    url="https://shop.example/pay",
    params_schema={
        "type": "object",
        "properties": {
            "order": {"type": "string", "title": "Order"},
            "pins": {"type": "array", "title": "PINs", "items": {"$ref": "#/$defs/pin"}},
        },
        "$defs": {"pin": {"anyOf": [{"type": "string", "format": "password"}, {"type": "null"}]}},
    },
)
PARAMS = {"order": "A-1", "pins": [PIN]}
SHOWN = {"endpoint": "pay", "params": {"order": "A-1", "pins": [HIDDEN]}}


async def ask(system: System, by: Confirmation = Confirmation.CUSTOMER, **more: Any) -> dict[str, Any]:
    """The turn in which the model asks for a payment."""
    actions = AssistantActions(endpoints=(PAY,), confirmations={"api_call": by}, repairs=0)
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    system.perplexity.scripts.append(output("api_call", endpoint="pay", params=PARAMS, **more))
    return dict((await system.send("Pay, please")).json())


async def test_no_answer_of_the_api_shows_it_and_the_service_gets_it(system: System) -> None:
    asked = await ask(system)
    session = await system.session()
    done = (await system.send("yes", message_id="yes")).json()
    events = [event async for event in system.stream("yes", message_id="yes")]
    turns = (await system.http.get("/api/session/c-1/turns")).json()
    effects = (await system.http.get("/api/effects")).json()

    assert asked["action"]["metadata"] == done["action"]["metadata"] == SHOWN
    assert f"• PINs: {HIDDEN}" in asked["reply"]["text"]
    assert f"• PINs: {HIDDEN}" in session["pending_action"]["text"]
    assert HIDDEN in turns[-1]["attempts"][0]["raw_output"]
    assert PIN not in str([asked, session, done, [event.data for event in events], turns, effects])
    assert system.endpoints.calls[0][1] == PARAMS


async def test_no_page_command_or_log_shows_it(system: System) -> None:
    with capture_logs() as lines:
        await ask(system)
        await ask(system, unknown=1)
    overview, turns = Overview(system.database), TurnViews(system.database)
    session = await system.services.sessions.find("http", "c-1")
    assert session is not None

    drift, trouble = await turns.drift(10), await overview.trouble(10)
    summary = await summary_of(system.database, session)

    assert [HIDDEN in each.raw_output for each in drift] == [True]
    assert any(HIDDEN in line.get("raw_output", "") for line in lines)
    assert PIN not in str([lines, drift, trouble, summary, conversation_text(summary)])


async def test_staff_read_what_would_be_done_and_why_and_not_the_value(system: System) -> None:
    await ask(system, Confirmation.STAFF)

    [approval] = (await system.session())["questions"]

    assert (approval["kind"], approval["reason"]) == ("approval", "Asked for it")
    asked, *values = approval["text"].splitlines()
    assert (asked, sorted(values)) == ("Shall I pay for you?", ["• Order: A-1", f"• PINs: {HIDDEN}"])


UNUSABLE: dict[str, dict[str, Any]] = {
    "unknown action": {"action": "launch_rocket", "reason": "r", "metadata": {}},
    "invalid metadata": {"action": "ticket_status", "reason": "r", "metadata": {"more": 1}},
    "fields missing": {"action": "ticket_status"},
}


@pytest.mark.parametrize(("pack", "kept"), [("0123456789abcdef", "0123456789abcdef"), ("an old one", None)])
@pytest.mark.parametrize("raw", UNUSABLE.values(), ids=UNUSABLE)
async def test_an_output_that_cannot_be_used_keeps_the_pack_that_it_names(
    system: System, raw: dict[str, Any], pack: str, kept: str | None
) -> None:
    config = AssistantConfig(actions=AssistantActions(repairs=1))
    await system.services.configurations.apply("default", config, "test")
    broken = json.dumps({"action": "ticket_status", "reason": 'says "hi"', "pack": pack}).replace("\\", "")
    system.perplexity.scripts.extend([json.dumps(raw | {"pack": pack}), broken])
    await system.send("Where is my ticket?")

    drift = (await system.http.get("/api/drift")).json()

    assert [(each["pack_echoed"], each["prompt_pack"] is None) for each in drift] == [(kept, False)] * 2
