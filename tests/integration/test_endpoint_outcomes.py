"""The table of docs/actions.md, *What an answer comes to*: each method, and whatever a service may answer to it.

A real service on this machine, the real client, the ledger and the turn's end; of each call: what is recorded, whether
it is made again, what the model is given, and what the customer is told where the model has no word.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from integrations.endpoints.double import ScriptedEndpoints
from integrations.endpoints.http import HttpEndpoints
from integrations.endpoints.port import EndpointResult, Endpoints
from schemas.actions import ActionDefinition, AssistantActions, Endpoint
from schemas.assistants import AssistantConfig, Texts
from schemas.conversations import NextStep, Perform, Thread, TurnOutcome, TurnRequest
from schemas.effects import EffectStatus
from tests.endpoint_server import Service, running_service
from tests.incoming import incoming
from tests.ports import free_port
from tests.support.shop import output
from tests.support.waiting import LONGEST_SECONDS
from tests.system_in_process import System, running_system
from worker.app import Outside, create_activities

MAX_BYTES = 10_000
HERE = {"is": "here"}
CONFIRMED, FAILED, UNKNOWN = EffectStatus.CONFIRMED, EffectStatus.FAILED, EffectStatus.UNKNOWN


@dataclass(frozen=True)
class Comes:
    """What a call comes to. *given*: the body that the model gets. *times*: how often it is made, of two times."""

    status: EffectStatus
    given: Any = None
    unread: str | None = None
    times: int = 1


DONE = Comes(CONFIRMED, HERE)
NO = Comes(FAILED)
AGAIN = Comes(FAILED, times=2)  # surely nothing was done: tried again while tries are left
DOUBT = Comes(UNKNOWN)  # only a human finds out
PDF = "application/pdf, which is no text"
LARGE = f"more than {MAX_BYTES} bytes"

TABLE: dict[str, tuple[str, Comes, Comes]] = {
    # what comes: where, of a GET, of any other method
    "2xx": ("answers/200", DONE, DONE),
    "2xx, created": ("answers/201", DONE, DONE),
    "2xx, no body": ("nothing", Comes(CONFIRMED, ""), Comes(CONFIRMED, "")),
    "2xx, no text": ("pdf", NO, Comes(CONFIRMED, unread=PDF)),
    "2xx, too large": ("huge", NO, Comes(CONFIRMED, unread=LARGE)),
    "2xx, wrong charset": ("charset", *[Comes(CONFIRMED, {"is": "hier, für dich"})] * 2),
    "2xx, what cannot be stored": ("unstorable", *[Comes(CONFIRMED, '{"a": "x\\u0000y\\ud800", "b": 1e999}')] * 2),
    "3xx": ("answers/303", NO, DOUBT),
    "404": ("answers/404", DONE, NO),
    "408": ("answers/408", AGAIN, DOUBT),
    "409": ("answers/409", NO, NO),
    "other 4xx": ("answers/422", NO, NO),
    "429": ("answers/429", AGAIN, AGAIN),
    "5xx": ("answers/503", AGAIN, DOUBT),
    "cut before": ("nobody there", AGAIN, AGAIN),
    "cut after": ("drop", AGAIN, DOUBT),
    "cut in the answer": ("half", AGAIN, DOUBT),
    "slow": ("slow", AGAIN, DOUBT),
    "wrong certificate": ("certificate", NO, NO),
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_numbers = count(1)


@dataclass(frozen=True)
class Services:
    plain: Service
    tls: Service | None
    nobody: int

    def url(self, path: str) -> str:
        if path == "certificate":
            if self.tls is None:
                pytest.skip("needs openssl, to make a certificate")
            return f"https://{self.tls.host}/ok"
        return f"http://localhost:{self.nobody}/" if path == "nobody there" else f"http://{self.plain.host}/{path}"

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset({self.plain.host, self.tls.host if self.tls else "", f"localhost:{self.nobody}"})


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("certificate")
        tls = stack.enter_context(running_service(of_somebody_else(folder))) if shutil.which("openssl") else None
        yield Services(stack.enter_context(running_service()), tls, free_port())


def of_somebody_else(folder: Path) -> ssl.SSLContext:
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=other"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run(["openssl", *new, *files], check=True, capture_output=True, timeout=LONGEST_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    return context


@pytest.fixture(scope="module")
async def still(postgres_url: str, temporal_address: str) -> AsyncIterator[System]:
    """A system without a worker: the test runs each attempt itself."""
    async with running_system(
        postgres_url, temporal_address, worker=False, perplexity_account_calls_per_minute=100_000
    ) as system:
        yield system


@pytest.fixture(scope="module")
async def calls(services: Services) -> AsyncIterator[HttpEndpoints]:
    endpoints = HttpEndpoints({}, allowed=services.hosts, max_bytes=MAX_BYTES)
    yield endpoints
    await endpoints.close()


def called(method: Any, url: str, **more: Any) -> Endpoint:
    limit = 1.0 if url.endswith("/slow") else 10.0  # a busy machine may need some time for the others
    safe = {"safe": True, "safe_because": "a test"}
    return Endpoint(
        name="called",
        description="Does it",
        method=method,
        url=url,
        retries=1,
        time_limit_seconds=limit,
        **safe,
        **more,
    )


async def carried_out(
    system: System, calls: Endpoints, endpoint: Endpoint, own: ActionDefinition | None = None
) -> tuple[TurnOutcome, Any]:
    """The action accepted and done, as often as the ledger lets it be: how its turn goes on, and its effect."""
    actions = AssistantActions(endpoints=(endpoint,))
    if own is not None:
        actions = actions.model_copy(update={"custom": (own,), "enabled": (own.name,)})
    await system.services.configurations.apply("default", AssistantConfig(actions=actions), "test")
    said = output(own.name) if own else output("api_call", endpoint="called", params={})
    system.perplexity.scripts.append(said)
    stored = await system.services.inbox.store(incoming("Do it", next(_numbers), customer=str(uuid4())))
    request = TurnRequest(
        conversation_id=stored.conversation_id, cursor=0, thread=Thread(frontend_context_uuid=uuid4())
    )
    outside = Outside(system.perplexity, calls, {})
    does = create_activities(system.temporal, system.database, outside, system.settings)
    outcome = await ActivityEnvironment().run(does.turn.answer, request)
    values = {"id": stored.conversation_id}
    while outcome.step is NextStep.PERFORM:
        try:
            outcome = await ActivityEnvironment().run(does.actions.perform, Perform(action_id=outcome.action_id))
        except ApplicationError:
            await system.database.rows("UPDATE effects SET not_before = NULL WHERE conversation_id = :id", values)
    effect = await system.database.row("SELECT * FROM effects WHERE conversation_id = :id", values)
    return outcome, effect


async def told(system: System, conversation_id: Any) -> list[str]:
    said = "SELECT text FROM messages WHERE conversation_id = :id AND direction = 'out' ORDER BY seq"
    return [row["text"] for row in await system.database.rows(said, {"id": conversation_id})]


TOLD = {FAILED: Texts().action_failed, UNKNOWN: Texts().action_unknown}
ROWS = [(name, method) for name in TABLE for method in METHODS]


@pytest.mark.parametrize(("name", "method"), ROWS, ids=[f"{method} {name}" for name, method in ROWS])
async def test_what_an_answer_comes_to(
    still: System, calls: HttpEndpoints, services: Services, name: str, method: str
) -> None:
    path, of_a_get, of_the_others = TABLE[name]
    wanted = of_a_get if method == "GET" else of_the_others

    outcome, effect = await carried_out(still, calls, called(method, services.url(path)))

    assert (effect["status"], effect["attempts"]) == (wanted.status, wanted.times), effect["error"]
    if wanted.status is CONFIRMED:  # the model gets it, and says the final words
        assert outcome.step is NextStep.CONCLUDE
        assert effect["result"]["body"] == wanted.given
        assert effect["result"].get("unread") == wanted.unread
    else:
        assert outcome.step is NextStep.FINISHED
        assert await told(still, effect["conversation_id"]) == [TOLD[wanted.status]]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("409", AGAIN),  # an attempt under the same key may be at it
        ("5xx", replace(DOUBT, times=2)),
        ("cut after", replace(DOUBT, times=2)),
        ("slow", replace(DOUBT, times=2)),
        ("3xx", replace(DOUBT, times=2)),
    ],
)
async def test_a_service_that_keeps_the_key_is_asked_again(
    still: System, calls: HttpEndpoints, services: Services, name: str, wanted: Comes
) -> None:
    keeps = called("POST", services.url(TABLE[name][0]), honours_idempotency_key=True)

    _, effect = await carried_out(still, calls, keeps)

    assert (effect["status"], effect["attempts"]) == (wanted.status, wanted.times)


def test_the_paper_has_the_same_table() -> None:
    """Each row of docs/actions.md, with what is recorded and whether it is repeated."""
    paper = (Path(__file__).parents[2] / "docs" / "actions.md").read_text()
    section = paper.partition("## What an answer comes to")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    written = {row[0]: (row[1], row[2]) for row in rows[2:]}
    assert written == {
        name: tuple(f"{each.status}{', again' if each.times > 1 else ''}" for each in (reads, writes))
        for name, (_, reads, writes) in TABLE.items()
    }


async def test_nothing_found_is_no_deed_where_nobody_tells_it(
    still: System, calls: HttpEndpoints, services: Services
) -> None:
    """Of an own action without `returns_result` the customer would read "That is done."."""
    own = ActionDefinition(
        name="own",
        description="d",
        metadata_schema={"type": "object", "properties": {}},
        handler="api_call",
        settings={"endpoint": "called"},
        safe=True,
        safe_because="a test",
    )

    outcome, effect = await carried_out(still, calls, called("GET", services.url("answers/404")), own)

    assert (effect["status"], outcome.step) == (FAILED, NextStep.FINISHED)


class Breaks(ScriptedEndpoints):
    async def call(self, *_: Any) -> EndpointResult:
        raise LookupError("unknown encoding: customer's words")


@pytest.mark.parametrize(("method", "status"), [("GET", FAILED), ("POST", UNKNOWN)])
async def test_what_a_handler_never_should_raise_ends_the_turn(
    still: System, method: str, status: EffectStatus
) -> None:
    """Finding 6: else the customer's conversation waited for it for ever."""
    outcome, effect = await carried_out(still, Breaks(), called(method, "https://shop.example/"))

    assert (effect["status"], outcome.step) == (status, NextStep.FINISHED)
    assert "LookupError" in effect["error"]["explanation"]
    assert "customer's words" not in str(effect["error"])
