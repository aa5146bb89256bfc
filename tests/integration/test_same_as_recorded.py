"""One contract, held by the recordings and by the simulator alike: what it says on the wire is what the wrapper said.

The same question in the four ways of asking; each body is looked at as it came, and read by the client.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from config.settings import Settings
from integrations.perplexity.port import Answer, ModelPrompt
from integrations.perplexity.request_line import Way
from integrations.perplexity.simulator.serve import running
from integrations.perplexity.wrapper import WrapperClient
from tests.unit.test_wrapper_recordings import OURS, REAL, Recording, private_values

QUESTION = "Which espresso machine do you recommend?"
ACCOUNT = "acct-a"
WAYS: dict[tuple[Way, bool], str] = {
    ("async", True): "1a",
    ("async", False): "1b",
    ("sync", True): "1c",
    ("sync", False): "1d",
}
"""With the names of the real recordings."""
OWN = {
    "1a": "async-answer-only.jsonl",
    "1b": "async-full.jsonl",
    "1c": "sync-answer-only.json",
    "1d": "sync-full.json",
}
BLOCKS = ["answer_tabs", "ask_text", "plan", "pro_search_steps", "sources_answer_mode", "web_results"]


@dataclass(frozen=True)
class Said:
    """A response as it came."""

    way: Way
    answer_only: bool
    kind: str
    body: bytes

    @cached_property
    def frames(self) -> list[dict[str, Any]]:
        """Of a stream; the framing is checked on the way."""
        *frames, end = self.body.decode().split("\n\n")
        assert end == ""
        assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
        return [json.loads(frame.removeprefix("data: ")) for frame in frames]

    @property
    def last(self) -> dict[str, Any]:
        """The message that counts."""
        return dict(self.frames[-2]["content"]) if self.way == "async" else dict(json.loads(self.body))


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("simulator")) as url:
        yield url


@pytest.fixture(params=["recording", "real recording", "simulator"])
def source(request: pytest.FixtureRequest) -> str:
    if request.param == "real recording" and not REAL.is_dir():
        pytest.skip("the real recordings do not lie beside this checkout")
    return str(request.param)


@pytest.fixture(params=WAYS, ids=lambda way: f"{way[0]}, answer_only={way[1]}")
def said(request: pytest.FixtureRequest, source: str, simulator: str) -> Said:
    way, answer_only = request.param
    kind = "text/event-stream; charset=utf-8" if way == "async" else "application/json"
    if source == "simulator":
        fields = {"q": QUESTION, "account_name": ACCOUNT, "answer_only": "true" if answer_only else "false"}
        response = httpx2.get(f"{simulator}/api/query_{way}?{urlencode(fields)}")
        assert (response.status_code, response.headers["content-type"]) == (200, kind)
        return Said(way, answer_only, kind, response.content)
    name = WAYS[way, answer_only]
    file = REAL / f"wrapper-answer-{name}.json{'l' if way == 'async' else ''}.gz"
    path = file if source == "real recording" else OURS / OWN[name]
    return Said(way, answer_only, kind, Recording(path, "", "", 0, 0).body)


async def read(said: Said) -> tuple[Answer, list[str]]:
    def replay(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": said.kind}, content=said.body)

    texts: list[str] = []

    async def on_text(text: str) -> None:
        texts.append(text)

    settings = Settings(perplexity_base_url="http://wrapper.invalid")
    client = WrapperClient(settings, way=said.way, answer_only=said.answer_only, transport=httpx2.MockTransport(replay))
    answer = await client.ask(ModelPrompt(text="q", account_name=ACCOUNT, frontend_context_uuid="c"), on_text)
    await client.close()
    return answer, texts


def test_frames_and_fields_are_those_of_the_wrapper(said: Said) -> None:
    if said.way == "async":
        assert [set(frame) for frame in said.frames] == [{"type", "content", "done", "account_used"}] * len(said.frames)
        assert [frame["done"] for frame in said.frames] == [False] * (len(said.frames) - 1) + [True]
        assert said.frames[-1]["content"] == ""
        assert {(frame["type"], frame["account_used"]) for frame in said.frames} == {("content", ACCOUNT)}
    else:
        assert said.last["account_used"] == ACCOUNT


def test_the_message_that_counts_is_marked_as_the_wrapper_marks_it(said: Said) -> None:
    last = {name: value for name, value in said.last.items() if name != "account_used"}
    if said.answer_only:
        assert set(last) == {"progress", "answer", "backend_uuid"}
        assert last["progress"] == "DONE"
        return
    assert (last["status"], last["final_sse_message"]) == ("COMPLETED", True)
    assert sorted({block["intended_usage"] for block in last["blocks"]}) == BLOCKS
    assert last["text"][-1]["step_type"] == "FINAL"
    assert private_values(said.body.decode())


def test_text_comes_as_patches_that_add_up(said: Said) -> None:
    if said.way == "sync" or said.answer_only:
        return
    diffs = [
        block["diff_block"]["patches"]
        for frame in said.frames[:-2]
        for block in frame["content"]["blocks"]
        if block["intended_usage"] == "ask_text"
    ]
    [first], *more = diffs
    chunks = first["value"]["chunks"] + [patches[0]["value"] for patches in more]
    assert (first["op"], first["path"]) == ("replace", "")
    assert {(patches[0]["op"], patches[1]["op"], patches[1]["path"]) for patches in more} == {
        ("add", "replace", "/answer")
    }
    assert "".join(chunks) == more[-1][1]["value"]


async def test_the_client_reads_the_same_out_of_it(said: Said) -> None:
    answer, texts = await read(said)

    stated = said.last["answer"] if said.answer_only else None
    assert stated in (None, answer.text)
    assert texts[-1] == answer.text
    assert (len(texts) > 10) is (said.way == "async" and not said.answer_only)
    assert bool(answer.sources) is not said.answer_only
    assert answer.backend_uuid == said.last["backend_uuid"]
    assert [value for value in private_values(said.body.decode()) if value in answer.model_dump_json()] == []
