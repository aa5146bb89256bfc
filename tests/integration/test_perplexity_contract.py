"""What the client and a wrapper have to agree on: against the simulator on a real socket, and against a real wrapper
when PERPLEXITY_BASE_URL is set (then with DEFAULT_ACCOUNT_NAME). What the double has to do like them, it is asked too.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from actions.prompt_pack import repair_prompt
from actions.registry import Registry
from config.settings import Settings
from integrations.perplexity.double import ScriptedPerplexity
from integrations.perplexity.port import AskFailed, ModelPrompt, Perplexity
from integrations.perplexity.request_line import Way
from integrations.perplexity.simulator.serve import running
from integrations.perplexity.simulator.shapes import PRIVATE
from integrations.perplexity.wrapper import WrapperClient
from schemas.failures import ModelFailureKind
from schemas.turns import ErrorCode, OutputError

REAL = os.environ.get("PERPLEXITY_BASE_URL", "")
ACCOUNT = os.environ.get("DEFAULT_ACCOUNT_NAME", "default")
WAYS: list[tuple[Way, bool]] = [("async", False), ("async", True), ("sync", False), ("sync", True)]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("simulator")) as url:
        yield url


@pytest.fixture(params=["simulator", "real"] if REAL else ["simulator"])
def base_url(request: pytest.FixtureRequest, simulator: str) -> str:
    return simulator if request.param == "simulator" else REAL


def question(text: str, **changes: Any) -> ModelPrompt:
    asked = ModelPrompt(text=text, account_name=ACCOUNT, frontend_context_uuid=str(uuid4()))
    return asked.model_copy(update=changes)


def client_of(url: str, way: Way = "async", answer_only: bool = False, **settings: Any) -> WrapperClient:
    client = WrapperClient(Settings(perplexity_base_url=url, **settings), way=way, answer_only=answer_only)
    _made.append(client)
    return client


_made: list[WrapperClient] = []


@pytest.fixture(autouse=True)
async def closed_clients() -> AsyncIterator[None]:
    """Closes what `client_of` made for the test."""
    yield
    while _made:
        await _made.pop().close()


@pytest.fixture
async def client(simulator: str) -> WrapperClient:
    """The default way of asking, at the simulator, with little patience."""
    return client_of(simulator, perplexity_silence_seconds=0.4, perplexity_answer_bytes=1_000_000)


async def failure_of(client: WrapperClient, asked: ModelPrompt) -> AskFailed:
    with pytest.raises(AskFailed) as failed:
        await client.ask(asked)
    return failed.value


@pytest.mark.parametrize(("way", "answer_only"), WAYS)
async def test_all_four_ways_of_asking_give_an_answer(base_url: str, way: Way, answer_only: bool) -> None:
    client = client_of(base_url, way, answer_only)
    asked = question("What are the opening hours of the British Museum?")

    answer = await client.ask(asked)

    assert answer.text
    assert answer.backend_uuid
    assert answer.frontend_context_uuid == asked.frontend_context_uuid
    assert bool(answer.sources) is (not answer_only)


async def test_text_comes_before_the_answer_is_whole(base_url: str) -> None:
    texts: list[str] = []

    async def on_text(text: str) -> None:
        texts.append(text)

    answer = await client_of(base_url).ask(question("What are the latest news on renewable energy?"), on_text)

    assert len(texts) > 10
    assert texts[-1] == answer.text


@pytest.fixture(params=["double", "simulator", "real"] if REAL else ["double", "simulator"])
def perplexity(request: pytest.FixtureRequest, simulator: str) -> Perplexity:
    if request.param == "double":
        return ScriptedPerplexity()
    return client_of(simulator if request.param == "simulator" else REAL)


async def test_an_answer_says_when_its_first_text_came(perplexity: Perplexity) -> None:
    asked_at, heard_ms = time.monotonic(), list[float]()

    async def on_text(text: str) -> None:
        if text:
            heard_ms.append((time.monotonic() - asked_at) * 1000)

    answer = await perplexity.ask(question("What are the latest news on renewable energy?"), on_text)

    assert answer.first_text_ms is not None
    assert 0 <= answer.first_text_ms <= heard_ms[0]


async def test_an_answer_says_so_to_those_who_do_not_listen(perplexity: Perplexity) -> None:
    asked_at = time.monotonic()

    answer = await perplexity.ask(question("What are the latest news on renewable energy?"))

    assert answer.first_text_ms is not None
    assert 0 <= answer.first_text_ms <= (time.monotonic() - asked_at) * 1000


async def test_a_thread_goes_on_with_the_newest_backend_uuid(base_url: str) -> None:
    client = client_of(base_url)
    first = question("Please remember the word nightingale.")
    begun = await client.ask(first)

    then = await client.ask(
        first.model_copy(update={"text": "What did I say first?", "backend_uuid": begun.backend_uuid})
    )

    assert "nightingale" in then.text.lower()
    assert then.backend_uuid != begun.backend_uuid


@pytest.mark.parametrize("way", ["async", "sync"])
@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"account_name": "unknown-account"}, ModelFailureKind.ACCOUNT),
        ({"mode": "writing"}, ModelFailureKind.REJECTED),
        ({"mode": "pro", "model": "auto"}, ModelFailureKind.REJECTED),
        ({"sources": ("press",)}, ModelFailureKind.REJECTED),
    ],
)
async def test_wrong_parameters_are_told(
    base_url: str, way: Way, changes: dict[str, Any], kind: ModelFailureKind
) -> None:
    assert (await failure_of(client_of(base_url, way), question("Hi", **changes))).kind is kind


async def test_health(base_url: str) -> None:
    assert await client_of(base_url).healthy() is True
    assert await client_of("http://127.0.0.1:9").healthy() is False


async def test_nobody_there() -> None:
    assert (await failure_of(client_of("http://127.0.0.1:9"), question("Hi"))).kind is ModelFailureKind.CONNECT


STREAMED = [
    ("refuse_session", ModelFailureKind.CUT),  # the wrapper does not say which of its calls it was
    ("upstream_cut", ModelFailureKind.CUT),
    ("upstream_empty", ModelFailureKind.CUT),
    ("upstream_silent", ModelFailureKind.SILENT),
    ("limit", ModelFailureKind.LIMIT),
    ("refused", ModelFailureKind.REFUSED),
    ("unknown_shape", ModelFailureKind.UNKNOWN_SHAPE),
    ("account_expired", ModelFailureKind.ACCOUNT),
    ("no_descriptors", ModelFailureKind.CONNECT),
    ("http400", ModelFailureKind.QUESTION_TOO_LONG),
    ("http429", ModelFailureKind.RATE_LIMITED),
    ("http502_html", ModelFailureKind.GATEWAY),
    ("http503", ModelFailureKind.GATEWAY),
    ("http504", ModelFailureKind.OVERLOADED),
    ("html_200", ModelFailureKind.MALFORMED),
    ("blocked", ModelFailureKind.BLOCKED),
    ("done_only", ModelFailureKind.BLOCKED),
    ("data_null", ModelFailureKind.BLOCKED),
    ("answer_null", ModelFailureKind.NO_ANSWER),
    ("in_progress_only", ModelFailureKind.NO_ANSWER),
    ("error_frame", ModelFailureKind.UPSTREAM),
    ("expecting_value", ModelFailureKind.UPSTREAM),
    ("list_index", ModelFailureKind.BLOCKED),
    ("cut", ModelFailureKind.CUT),
    ("cut_clean", ModelFailureKind.CUT),
    ("stall", ModelFailureKind.SILENT),
    ("huge=2000000", ModelFailureKind.TOO_LARGE),
]
IN_ONE_BODY = {
    "http502_html": ModelFailureKind.OVERLOADED,
    "http503": ModelFailureKind.OVERLOADED,
    "list_index": ModelFailureKind.NO_ANSWER,
    "cut_clean": ModelFailureKind.MALFORMED,
}


def silence_for(kind: ModelFailureKind) -> float:
    """Seconds: short where silence is the failure, else so long that a busy machine is not taken for it."""
    return 0.4 if kind is ModelFailureKind.SILENT else 20.0


@pytest.mark.parametrize(("directive", "kind"), STREAMED)
async def test_every_failure_of_a_stream(simulator: str, directive: str, kind: ModelFailureKind) -> None:
    patience = {"perplexity_silence_seconds": silence_for(kind), "perplexity_limit_pause_seconds": 1e-9}
    client = client_of(simulator, perplexity_answer_bytes=1_000_000, **patience)
    asked = question(f"When are you open? [[sim: {directive} times=1]]")

    assert (await failure_of(client, asked)).kind is kind
    assert "Saturday" in (await client.ask(asked)).text


@pytest.mark.parametrize(("directive", "kind"), [row for row in STREAMED if row[0] != "expecting_value"])
async def test_every_failure_of_a_body(simulator: str, directive: str, kind: ModelFailureKind) -> None:
    patience = silence_for(kind)
    client = client_of(simulator, "sync", perplexity_silence_seconds=patience, perplexity_answer_bytes=1_000_000)

    failed = await failure_of(client, question(f"When are you open? [[sim: {directive}]]"))

    assert failed.kind is IN_ONE_BODY.get(directive, kind)


async def test_some_models_fail_only_as_a_stream(simulator: str) -> None:
    asked = question("When are you open? [[sim: expecting_value]]")

    assert "Saturday" in (await client_of(simulator, "sync").ask(asked)).text


async def test_a_cut_stream_shows_how_far_it_came(client: WrapperClient) -> None:
    failed = await failure_of(client, question("When are you open? [[sim: cut after=0.5]]"))

    assert failed.partial.startswith("We are open")
    assert "holidays" not in failed.partial


@pytest.mark.parametrize("shape", ["workflow_blocks", "plain_text"])
@pytest.mark.parametrize("way", ["async", "sync"])
async def test_every_shape_that_was_seen(simulator: str, way: Way, shape: str) -> None:
    answer = await client_of(simulator, way).ask(question(f"When are you open? [[sim: {shape}]]"))

    assert "Saturday" in answer.text
    assert PRIVATE not in answer.text
    assert answer.sources


async def test_an_account_at_its_limit_is_left_alone_for_a_while(simulator: str) -> None:
    client, thread = client_of(simulator), str(uuid4())
    limited = question("Hi [[sim: limit]]", account_name="limited", frontend_context_uuid=thread)

    first, then = await failure_of(client, limited), await failure_of(client, limited)
    other = await client.ask(question("When are you open?"))

    async with httpx2.AsyncClient(base_url=simulator) as control:
        asked = (await control.get("/simulator/questions", params={"thread": thread})).json()
    assert (first.kind, then.kind, first.retry_after) == (ModelFailureKind.LIMIT, ModelFailureKind.LIMIT, None)
    assert then.retry_after is not None
    assert len(asked) == 1
    assert "Saturday" in other.text


@pytest.mark.parametrize(("way", "answer_only"), WAYS)
@pytest.mark.parametrize("directive", ["silent=0.2", "frames_answer_only_in_progress", "slow=0.2"])
async def test_the_healthy_rarities(simulator: str, way: Way, answer_only: bool, directive: str) -> None:
    answer = await client_of(simulator, way, answer_only).ask(question(f"When are you open? [[sim: {directive}]]"))

    assert "Saturday" in answer.text


async def test_a_retry_after_is_passed_on(client: WrapperClient) -> None:
    assert (await failure_of(client, question("Hi [[sim: http429 retry_after=7]]"))).retry_after == 7.0
    assert (await failure_of(client, question("Hi [[sim: http429]]"))).retry_after is None


async def test_after_a_repair_the_customers_words_are_the_last(client: WrapperClient) -> None:
    """Not the words of the question that asked for it, in which "status" and "ticket" stand."""
    asked = question("When are you open? [[sim: reply={} times=1]]")
    first = await client.ask(asked)
    error = OutputError(message="this is the status of no ticket", code=ErrorCode.NOT_JSON)
    repair = repair_prompt([error], first.text, Registry())

    repaired = await client.ask(asked.model_copy(update={"text": repair, "backend_uuid": first.backend_uuid}))
    again = {"text": "What did I say first?", "backend_uuid": repaired.backend_uuid}
    after = await client.ask(asked.model_copy(update=again))

    assert "Saturday" in repaired.text
    assert after.text.count("“When are you open?”") == 2


async def test_citations_are_renumbered_in_the_end(client: WrapperClient) -> None:
    texts: list[str] = []

    async def on_text(text: str) -> None:
        texts.append(text)

    answer = await client.ask(question("When are you open?"), on_text)

    assert texts[-2] != answer.text
    assert len(texts[-2]) == len(answer.text)
    assert [source.n for source in answer.sources] == [1, 2]


async def test_a_message_of_155_kilobytes_is_healthy(simulator: str) -> None:
    async with httpx2.AsyncClient(base_url=simulator) as control:
        await control.put("/simulator/next", json={"directive": "huge=155000"})

    answer = await client_of(simulator).ask(question("A long one, please"))

    assert len(answer.text) == 155_000


@pytest.mark.parametrize("way", ["async", "sync"])
async def test_an_id_that_was_never_given_is_refused(simulator: str, way: Way) -> None:
    asked = question("Hi", backend_uuid=str(uuid4()))

    assert (await failure_of(client_of(simulator, way), asked)).kind is ModelFailureKind.UPSTREAM


async def test_a_request_line_above_16_kb_is_refused_by_the_other_side_too(simulator: str) -> None:
    async with httpx2.AsyncClient() as http:
        response = await http.get(f"{simulator}/api/query_sync?account_name=a&q={'x' * 20_000}")

    assert (response.status_code, response.text) == (400, "Invalid HTTP request received.")


async def test_every_question_is_counted_in_its_thread(client: WrapperClient, simulator: str) -> None:
    asked = question("Hi [[sim: http503 times=1]] [[sim: cut times=1]]")
    for kind in (ModelFailureKind.GATEWAY, ModelFailureKind.CUT):
        assert (await failure_of(client, asked)).kind is kind
    await client.ask(asked)

    async with httpx2.AsyncClient(base_url=simulator) as control:
        told = await control.get("/simulator/questions", params={"thread": asked.frontend_context_uuid})

    assert [(one["fault"], one["asked"]) for one in told.json()] == [("http503", False), ("cut", True), (None, True)]


async def test_a_question_that_was_cut_off_is_still_a_turn_of_its_thread(client: WrapperClient) -> None:
    asked = question("Please remember the owl [[sim: cut]]")
    await failure_of(client, asked)

    then = await client.ask(asked.model_copy(update={"text": "What did I say first?"}))

    assert "owl" in then.text


async def test_actions_come_only_from_a_model_that_was_told_of_them(client: WrapperClient) -> None:
    words = "I want to buy ten of them"

    untold = await client.ask(question(words))
    told = await client.ask(question(words, collection_uuid="51a00000-0000-4000-8000-000000000001"))

    assert "sales team" in untold.text
    assert told.text.startswith('{"action": "handoff_sales"')


async def test_private_fields_are_sent_and_dropped(client: WrapperClient, simulator: str) -> None:
    asked = question("When are you open?")
    async with httpx2.AsyncClient(base_url=simulator) as http:
        raw = await http.get("/api/query_sync", params={"q": asked.text, "account_name": "a"})

    answer = await client.ask(asked)

    assert PRIVATE in raw.text
    assert PRIVATE not in answer.model_dump_json()


async def test_threads_survive_a_restart(tmp_path: Path) -> None:
    asked = question("Please remember the heron")
    with running(tmp_path) as url:
        begun = await client_of(url).ask(asked)

    with running(tmp_path) as url:
        later = asked.model_copy(update={"text": "What did I say first?", "backend_uuid": begun.backend_uuid})
        answer = await client_of(url).ask(later)

    assert "heron" in answer.text
    assert answer.thread_url_slug == begun.thread_url_slug


async def test_the_other_endpoints_have_the_wrappers_shapes(client: WrapperClient, simulator: str) -> None:
    slug = (await client.ask(question("When are you open?"))).thread_url_slug
    async with httpx2.AsyncClient(base_url=simulator) as http:
        threads = (await http.get("/api/threads", params={"account_name": "a", "limit": 5})).json()
        thread = (await http.get(f"/api/threads/{slug}")).json()
        unknown = await http.get("/api/threads/never-seen")
        spaces = (await http.get("/api/collections")).json()
        accounts = (await http.get("/api/account/list")).json()
        tested = (await http.post("/api/account/test/unknown-one")).json()

    assert slug in [one["slug"] for one in threads["data"]]
    assert thread["entries"][0]["query_str"] == "When are you open?"
    assert (unknown.status_code, unknown.json()["error"]) == (500, "HTTP Error 404: Not Found")
    assert set(spaces["data"][0]) == {"title", "slug", "uuid", "description", "count", "access_state", "emoji"}
    assert accounts["accounts"]["default"]["status"] == "active"
    assert tested["valid"] is False


async def test_it_says_everywhere_that_it_is_a_simulator(simulator: str) -> None:
    async with httpx2.AsyncClient(base_url=simulator) as http:
        told, listed = [await http.get(path) for path in ("/", "/health")], await http.get("/api/threads")
        answer = await http.get("/api/query_sync", params={"q": "hi", "account_name": "a", "answer_only": "true"})

    assert all("SIMULATOR" in response.text for response in told)
    assert all("SIMULATOR" in response.headers["x-served-by"] for response in (*told, listed, answer))
    assert answer.json()["account_used"] == "a"  # what a body says is word for word the wrapper's


async def test_a_thread_is_known_while_upstream_has_it(client: WrapperClient) -> None:
    answer = await client.ask(question("When are you open?"))
    assert answer.thread_url_slug is not None

    assert await client.has_thread("default", answer.thread_url_slug) is True
    assert await client.has_thread("default", "no-such-thread/../x") is False


async def test_nobody_there_is_no_word_about_a_thread() -> None:
    assert await client_of("http://127.0.0.1:9").has_thread("default", "some-thread") is None
