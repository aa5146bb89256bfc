"""Records a history of every kind of path a conversation takes: `python -m tests.record_histories [NAME…]`.
`test_replay.py` replays them all.

Run it after adding a behaviour, with the new scenario below; never to make a failing replay pass: a history that no
longer replays is a conversation that would get stuck in production.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from temporalio.client import WorkflowFailureError

from integrations.channels import failures as channel
from integrations.endpoints.port import CallFailureKind, EndpointFailed
from integrations.perplexity.port import AskFailed
from schemas.actions import AssistantActions, Confirmation, Endpoint
from schemas.assistants import AssistantConfig
from schemas.conversations import StateRequest
from schemas.failures import ModelFailureKind
from schemas.transitions import Event
from schemas.turns import State
from tests.servers import postgres_server, temporal_server
from tests.support.waiting import until, within
from tests.system_in_process import System, running_system
from tests.whatsapp_customer import SETTINGS, Customer, written
from tests.workflow.handles import activities_of, ended, handle_of, state_of

FOLDER = Path(__file__).parent / "histories"


async def plain_turns(system: System) -> None:
    for number in range(3):
        await system.send(f"message {number}")


async def retried_turn(system: System) -> None:
    system.perplexity.scripts.append(AskFailed(ModelFailureKind.CUT, "cut", retry_after=0.01))
    await system.send("Hello")


async def apologised_turn(system: System) -> None:
    system.perplexity.scripts.append(AskFailed(ModelFailureKind.ACCOUNT, "expired"))
    await system.send("Hello")
    await system.send("Hello again")


async def reset(system: System) -> None:
    await system.send("Hello")
    await system.http.post("/api/session/c-1/reset", json={"new_thread": True})
    await system.send("Hello again")


async def woken_by_signal(system: System) -> None:
    await system.send("Hello")
    session = await system.session()
    await system.temporal.get_workflow_handle(session["workflow_id"]).signal("message_stored", {"seq": 1})
    await system.send("Hello again")


async def continued_as_new(system: System) -> None:
    for number in range(4):
        await system.send(f"message {number}")


async def ended_when_idle(system: System) -> None:
    await system.send("Hello")
    handle = system.temporal.get_workflow_handle((await system.session())["workflow_id"])
    await within("the idle conversation's end", handle.result(), lambda: handle)
    await system.send("Hello again")
    await within("the idle conversation's end", handle.result(), lambda: handle)


def _output(action: str, **metadata: Any) -> str:
    return json.dumps({"action": action, "reason": "Asked for it", "metadata": metadata})


_TICKET = _output("create_ticket", subject="Lamp", description="Broken lamp")
_LOOK_UP = Endpoint(name="look_up", description="Looks up", url="https://service.example/orders")


async def _configure(system: System, **actions: Any) -> None:
    config = AssistantConfig(actions=AssistantActions(**actions))
    await system.services.configurations.apply("default", config, "recorder")


async def ticket_opened(system: System) -> None:
    system.perplexity.scripts.append(_TICKET)
    await system.send("My lamp is broken")
    await system.send("Thanks")


async def repaired(system: System) -> None:
    system.perplexity.scripts.extend([_output("create_ticket"), _TICKET])
    await system.send("My lamp is broken")


async def endpoint_called(system: System) -> None:
    await _configure(system, endpoints=[_LOOK_UP])
    system.endpoints.outcomes.append(EndpointFailed(CallFailureKind.NOT_SENT, "refused", retry_after=0.01))
    system.perplexity.scripts.append(_output("api_call", endpoint="look_up", params={}))
    await system.send("Where is my order?")


async def confirmed(system: System) -> None:
    await _configure(system, confirmations={"create_ticket": Confirmation.CUSTOMER})
    system.perplexity.scripts.append(_TICKET)
    await system.send("My lamp is broken")
    await system.send("yes")


async def approved(system: System) -> None:
    await _configure(system, confirmations={"create_ticket": Confirmation.STAFF})
    system.perplexity.scripts.append(_TICKET)
    await system.send("My lamp is broken")
    digest = (await system.session())["pending_action"]["digest"]
    body = {"digest": digest, "approved": True, "agent_name": "Ann"}
    await system.http.post("/api/session/c-1/approval", json=body)


async def handed_over(system: System) -> None:
    system.perplexity.scripts.append(_output("handoff_support"))
    await system.send("A human, please")
    await system.send("Hello?")
    await system.http.post("/api/session/c-1/state", json={"state": "bot", "reason": "done"})
    await system.send("Thanks")


async def taken_over(system: System) -> None:
    """By the API, while the model answers; then released, so that what was held is answered."""
    await system.send("Hello")
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(2)
    await system.http.post("/api/session/c-1/state", json={"state": "human_handoff", "reason": "mine"})
    system.perplexity.gate.set()
    await waiting
    await system.http.post("/api/session/c-1/state", json={"state": "bot", "reason": "done"})
    await system.until_asked(3)
    await system.send("Thanks")


async def reopened(system: System) -> None:
    """Taken and released while the model answers: the turn begins again."""
    system.perplexity.gate.clear()
    waiting = asyncio.create_task(system.send("What does it cost?"))
    await system.until_asked(1)
    for state in ("human_handoff", "bot"):
        await system.http.post("/api/session/c-1/state", json={"state": state, "reason": "mine"})
    system.perplexity.gate.set()
    await waiting


async def state_set_by_hand(system: System) -> None:
    await system.send("Hello")
    handle = system.temporal.get_workflow_handle((await system.session())["workflow_id"])
    await handle.execute_update("set_state", {"state": "human_handoff"})
    await handle.execute_update("reset", {"new_thread": True})
    await system.send("Hello again")


async def whatsapp_turns(system: System) -> None:
    customer = Customer(system)
    await customer.write("Hello")
    await customer.until_idle()
    await customer.write("And now?")
    await customer.until_idle()


async def whatsapp_turns_continued(system: System) -> None:
    await whatsapp_turns(system)


async def whatsapp_resent(system: System) -> None:
    """Refused once, sent, reported as failed, sent again."""
    customer = Customer(system)
    system.whatsapp.failures.append(channel.SendFailed(channel.SendFailureKind.RATE_LIMITED, "130429", code=130429))
    await customer.write("Hello")
    await customer.until_idle()
    await customer.status(system.whatsapp.sent[0], "failed", 131000)
    await customer.until_received(2)
    await customer.until_idle()


async def whatsapp_staff(system: System) -> None:
    """Staff approve an action and write to the customer themselves."""
    customer = Customer(system)
    await _configure(system, confirmations={"create_ticket": Confirmation.STAFF})
    system.perplexity.scripts.append(_TICKET)
    await customer.write("My lamp is broken")
    digest = (await customer.until_idle())["pending_action"]["digest"]
    path = f"/api/session/{customer.phone}"
    approval = {"digest": digest, "approved": True, "agent_name": "Ann"}
    await system.http.post(f"{path}/approval?channel=whatsapp", json=approval)
    await customer.until_idle()
    await system.http.post(f"{path}/messages?channel=whatsapp", json={"text": "Ann here.", "agent_name": "Ann"})
    await customer.until_idle()


async def whatsapp_sent_beside(system: System) -> None:
    """The channel hangs with the first reply, and the next message is answered meanwhile."""
    customer = Customer(system)
    system.whatsapp.gate.clear()
    await customer.write("Hello")
    await within("a reply that is being sent", system.whatsapp.held.wait(), lambda: customer.received)
    await customer.write("And now?")
    await until("two turns", customer.session, lambda session: session["turns"] == 2)
    system.whatsapp.gate.set()
    await customer.until_idle()


async def whatsapp_sent_anew(system: System) -> None:
    """A delivery is given up while the channel hangs; the workflow tries it anew after its pause."""
    customer = Customer(system)
    system.whatsapp.gate.clear()
    await customer.write("Hello")
    await until("a delivery that is over", lambda: state_of(system), lambda current: current.deadlines.delivery)
    system.whatsapp.gate.set()
    await customer.until_idle()


async def approval_expired(system: System) -> None:
    await _configure(system, confirmations={"create_ticket": Confirmation.STAFF}, approval_seconds=0.5)
    system.perplexity.scripts.append(_TICKET)
    await system.send("My lamp is broken")
    await until("the question's end", system.session, lambda session: not session["questions"])


async def changed_in_the_database(system: System) -> None:
    """As the API does it, and then tells: once between two turns, once beside one."""
    await system.send("Hello")
    await _put(system, State.HUMAN_HANDOFF)
    await _put(system, State.BOT)
    system.perplexity.gate.clear()
    sending = asyncio.create_task(system.send("Hello again"))
    await system.until_asked(2)
    await _put(system, State.HUMAN_HANDOFF)
    system.perplexity.gate.set()
    await sending


async def _put(system: System, state: State) -> None:
    [row] = await system.database.rows("SELECT id FROM conversations")
    event = Event.TAKEN if state is State.HUMAN_HANDOFF else Event.RELEASED
    await system.services.standings.change(row["id"], event, who="Ann")
    await (await handle_of(system)).signal("standing_changed")
    await until("what was read", lambda: state_of(system), lambda current: current.state is state)


async def kept_while_a_human_has_it(system: System) -> None:
    """Idle, but somebody is waited for; then released, and ended."""
    await handed_over(system)
    system.perplexity.scripts.append(_output("handoff_support"))
    await system.send("A human, please")
    await until("a look whether it may end", lambda: activities_of(system), lambda names: names[-1] == "load_state")
    await system.http.post("/api/session/c-1/state", json={"state": "bot", "reason": "done"})
    await ended(await handle_of(system))


async def taken_over_beside_the_model(system: System) -> None:
    await system.send("Hello")
    system.perplexity.gate.clear()
    sending = asyncio.create_task(system.send("Are you there?"))
    await system.until_asked(2)
    await (await handle_of(system)).execute_update("set_state", StateRequest(state=State.HUMAN_HANDOFF))
    system.perplexity.gate.set()
    await sending
    await until("what is stored after it", lambda: activities_of(system), lambda names: names[-1] == "load_state")


async def cancelled_while_asking(system: System) -> None:
    system.perplexity.gate.clear()
    sending = asyncio.create_task(system.send("Hello"))
    await system.until_asked(1)
    await _cancel(system)
    system.perplexity.gate.set()
    await sending


async def whatsapp_cancelled_while_sending(system: System) -> None:
    customer = Customer(system)
    system.whatsapp.gate.clear()
    await customer.write("Hello")
    await within("a reply that is being sent", system.whatsapp.held.wait(), lambda: customer.received)
    await _cancel(system)
    system.whatsapp.gate.set()


async def _cancel(system: System) -> None:
    handle = await handle_of(system)
    await handle.cancel()
    with suppress(WorkflowFailureError):
        await ended(handle)


_GIVEN_UP_SOON = {"delivery_timeout_seconds": 1.0, "delivery_give_up_seconds": 1.0, "delivery_settle_seconds": 0.1}


async def whatsapp_photo(system: System) -> None:
    """Fetched beside the turn."""
    customer = Customer(system)
    system.whatsapp.keep_file("9001", b"pixels", "image/jpeg")
    await customer.send(written("", type="image", text=None, image={"id": "9001"}))
    kept = "SELECT id FROM media WHERE status = 'kept'"
    await until("a kept photo", lambda: system.database.rows(kept))
    await customer.until_idle()


async def merged(system: System) -> None:
    """A customer known by number and, in a newer conversation, by id turns out to be one while that one is asked."""
    customer, by_id = Customer(system), {"from": None, "from_user_id": "US.1"}
    await customer.write("Hello")
    await customer.until_idle()
    system.perplexity.gate.clear()
    await customer.write("Hello by id", **by_id)
    await system.until_asked(2)
    await customer.write("It is me", from_user_id="US.1")
    await system.until_asked(3)
    system.perplexity.gate.set()
    await customer.until_idle()
    (row,) = await system.database.rows("SELECT workflow_id FROM conversations WHERE merged_into IS NOT NULL")
    handle = system.temporal.get_workflow_handle(row["workflow_id"])
    await within("the merged conversation's end", handle.result(), lambda: handle)


Scenario = Callable[[System], Awaitable[None]]
SCENARIOS: list[tuple[Scenario, dict[str, Any]]] = [
    (plain_turns, {}),
    (retried_turn, {}),
    (apologised_turn, {}),
    (reset, {}),
    (woken_by_signal, {}),
    (continued_as_new, {"continue_as_new_turns": 2}),
    (ended_when_idle, {"idle_end_seconds": 1.0}),
    (ticket_opened, {}),
    (repaired, {}),
    (endpoint_called, {}),
    (confirmed, {}),
    (approved, {}),
    (handed_over, {}),
    (taken_over, {}),
    (reopened, {}),
    (state_set_by_hand, {}),
    (whatsapp_turns, {**SETTINGS, "quiet_seconds": 0.05}),
    (whatsapp_turns_continued, {**SETTINGS, "continue_as_new_turns": 1}),
    (whatsapp_resent, SETTINGS),
    (whatsapp_staff, SETTINGS),
    (whatsapp_sent_beside, SETTINGS),
    (whatsapp_sent_anew, {**SETTINGS, **_GIVEN_UP_SOON}),
    (approval_expired, {}),
    (changed_in_the_database, {}),
    (kept_while_a_human_has_it, {"idle_end_seconds": 1.0}),
    (taken_over_beside_the_model, {}),
    (cancelled_while_asking, {}),
    (whatsapp_cancelled_while_sending, SETTINGS),
    (whatsapp_photo, {**SETTINGS, "media_dir": Path(gettempdir()) / "agent-recorded-files"}),
    (merged, SETTINGS),
]


async def record(wanted: set[str]) -> None:
    with postgres_server() as url, temporal_server() as address:
        for scenario, settings in SCENARIOS:
            if wanted and scenario.__name__ not in wanted:
                continue
            async with running_system(url, address, **settings) as system:
                await scenario(system)
                await _write(system, scenario.__name__)


async def _write(system: System, name: str) -> None:
    """Every run of the scenario's conversation, or of the one that ended by a merge, in a file each."""
    row, *_ = await system.database.rows("SELECT workflow_id FROM conversations ORDER BY merged_into IS NULL")
    workflow_id = row["workflow_id"]
    run_id: str | None = await _first_run(system, workflow_id)
    number = 0
    while run_id:
        number += 1
        history = await system.temporal.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        if any(event.HasField("workflow_task_completed_event_attributes") for event in history.events):
            text = json.dumps(_without_traces(json.loads(history.to_json())), indent=1)
            text = text.replace(f"{os.getpid()}@{socket.gethostname()}", "recorder")
            (FOLDER / f"{name}-{number}.json").write_text(text + "\n")
        run_id = next(
            (
                event.workflow_execution_continued_as_new_event_attributes.new_execution_run_id
                for event in history.events
                if event.HasField("workflow_execution_continued_as_new_event_attributes")
            ),
            None,
        )


def _without_traces(value: Any) -> Any:
    """The history without stack traces: they hold paths of the machine it was recorded on."""
    if isinstance(value, dict):
        return {key: _without_traces(each) for key, each in value.items() if key != "stackTrace"}
    return [_without_traces(each) for each in value] if isinstance(value, list) else value


async def _first_run(system: System, workflow_id: str) -> str:
    history = await system.temporal.get_workflow_handle(workflow_id).fetch_history()
    return history.events[0].workflow_execution_started_event_attributes.first_execution_run_id


if __name__ == "__main__":
    asyncio.run(record(set(sys.argv[1:])))
