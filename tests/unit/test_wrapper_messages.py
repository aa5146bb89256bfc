"""Messages → the text so far: both shapes, patches, offsets, and anything null or missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.perplexity.messages import MessagesSoFar
from integrations.perplexity.patches import patched


def texts_after(*messages: dict[str, Any]) -> list[str]:
    folded, seen = MessagesSoFar(), []
    for message in messages:
        folded.add(message)
        seen.append(folded.text)
    return seen


def diff(*patches: dict[str, Any], usage: str = "ask_text") -> dict[str, Any]:
    diff_block = {"field": "markdown_block", "patches": list(patches)}
    return {"blocks": [{"intended_usage": usage, "diff_block": diff_block}]}


def whole(usage: str = "ask_text", **block: Any) -> dict[str, Any]:
    return {"blocks": [{"intended_usage": usage, "markdown_block": block}]}


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def test_patches_build_the_text_as_recorded() -> None:
    first = diff(replace("", {"progress": "IN_PROGRESS", "chunks": ["Here"], "answer": "Here"}))
    second = diff(add("/chunks/1", " are"), replace("/answer", "Here are"))

    assert texts_after(first, second) == ["Here", "Here are"]


def test_without_the_whole_answer_chunks_are_joined() -> None:
    first = diff(replace("", {"chunks": ["Here"], "answer": None}))

    assert texts_after(first, diff(add("/chunks/1", " are")), diff(add("/chunks/-", " news"))) == [
        "Here",
        "Here are",
        "Here are news",
    ]


@pytest.mark.parametrize(
    ("offsets", "chunks", "text"),
    [
        ((0, 1), (["A"], ["B"]), "AB"),
        ((0, 0), (["A"], ["A", "B"]), "AB"),
        ((0, 1), (["A", "old"], ["B"]), "AB"),
        ((None, None), (["A"], ["B"]), "AB"),
        ((None, None), (["A"], ["A", "B"]), "AB"),
        ((0, 5), (["A"], ["B"]), "AB"),
    ],
)
def test_whole_blocks_continue_from_their_offset(
    offsets: tuple[int | None, ...], chunks: tuple[list[str], ...], text: str
) -> None:
    messages = [
        whole(progress="IN_PROGRESS", chunks=new, chunk_starting_offset=offset)
        for offset, new in zip(offsets, chunks, strict=True)
    ]

    assert texts_after(*messages)[-1] == text


def test_answer_only_pieces_are_new_text_or_all_so_far() -> None:
    pieces = ["Hello", " there", "Hello there, you"]

    seen = texts_after(*({"progress": "IN_PROGRESS", "answer": piece} for piece in pieces))

    assert seen == ["Hello", "Hello there", "Hello there, you"]


@pytest.mark.parametrize("usage", ["ask_text", "ask_text_0_markdown"])
def test_every_usage_that_begins_with_ask_text_is_text(usage: str) -> None:
    assert texts_after(whole(usage, answer="Hi")) == ["Hi"]


def test_the_plain_usage_wins_over_numbered_ones_which_are_joined() -> None:
    numbered = [whole("ask_text_0", answer="A"), whole("ask_text_1", answer="B")]

    assert texts_after(*numbered, whole(answer="all")) == ["A", "AB", "all"]


@pytest.mark.parametrize(
    "patches",
    [
        None,
        [None],
        [{}],
        [{"op": "add", "path": None}],
        [{"op": "add", "path": "/chunks/x/y", "value": "?"}],
        [{"op": "replace", "path": "/chunks/99", "value": "?"}],
        [{"op": "remove", "path": "/nothing/here"}],
        [{"op": "test", "path": "/answer", "value": "?"}],
    ],
)
def test_a_patch_that_does_not_fit_is_passed_over(patches: Any) -> None:
    assert patched({"chunks": ["a"], "answer": "a"}, patches) == {"chunks": ["a"], "answer": "a"}


def test_remove_and_escaped_names() -> None:
    document = {"rows": [1, 2, 3], "a/b": {"m~n": 0}}

    after = patched(document, [{"op": "remove", "path": "/rows/1"}, replace("/a~1b/m~0n", 9)])

    assert after == {"rows": [1, 3], "a/b": {"m~n": 9}}


FIELDS = [
    *("blocks", "intended_usage", "markdown_block", "diff_block", "field", "patches", "op", "path", "value"),
    *("chunks", "answer", "progress", "status", "final_sse_message", "backend_uuid", "chunk_starting_offset"),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=25,
)


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), _JSON), max_size=4))
def test_nothing_that_upstream_may_send_breaks_the_folding(messages: list[dict[str, Any]]) -> None:
    folded = MessagesSoFar()

    for message in messages:
        folded.add(message)

    assert folded.count == len(messages)
    assert isinstance(folded.text, str)
    assert folded.accepted is None or folded.accepted.strip()
    assert isinstance(folded.web_results(), list)
