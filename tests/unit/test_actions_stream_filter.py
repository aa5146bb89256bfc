"""Hold-back while streaming: no customer sees an action's JSON, whatever the chunks; text is not held for long."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.folding import folded
from actions.reading import read_output
from actions.stream_filter import StreamFilter, VisibleText
from schemas.turns import Verdict
from tests.unit.outputs.corpus import REGISTRY, Labelled, labelled_outputs

CORPUS = [case for case in labelled_outputs() if len(case.raw) < 20_000]
TEXTS = [case for case in CORPUS if case.verdict is Verdict.TEXT]
ACTIONS = [case for case in CORPUS if case.verdict is Verdict.ACTION]
INVALID = [case for case in CORPUS if case.verdict is Verdict.INVALID]
ACTION = '{"action": "ticket_status", "reason": "Asks."}'


def shown_while_streaming(raw: str, cuts: list[int]) -> list[VisibleText]:
    """What is shown after each piece of *raw*, cut at *cuts*, and at the end."""
    stream = StreamFilter(REGISTRY)
    ends = sorted({min(cut, len(raw)) for cut in cuts} | {len(raw)})
    return [*(stream.feed(raw[:end]) for end in ends), stream.finish(raw)]


def chunkings(case: Labelled) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(case.raw)), max_size=40)


@given(st.sampled_from(TEXTS).flatmap(lambda case: st.tuples(st.just(case), chunkings(case))))
@settings(max_examples=300, deadline=None)
def test_a_text_only_grows_and_ends_whole(drawn: tuple[Labelled, list[int]]) -> None:
    case, cuts = drawn
    shown = shown_while_streaming(case.raw, cuts)
    assert not any(each.reset for each in shown)
    assert all(after.text.startswith(before.text) for before, after in pairwise(shown))
    assert shown[-1].text == case.raw


@given(st.sampled_from(ACTIONS).flatmap(lambda case: st.tuples(st.just(case), chunkings(case))))
@settings(max_examples=300, deadline=None)
def test_nothing_of_an_action_is_ever_shown(drawn: tuple[Labelled, list[int]]) -> None:
    case, cuts = drawn
    assert {each.text.strip() for each in shown_while_streaming(case.raw, cuts)} <= {""}


@given(st.sampled_from(INVALID).flatmap(lambda case: st.tuples(st.just(case), chunkings(case))))
@settings(max_examples=600, deadline=None)
def test_no_action_key_is_shown_and_all_is_taken_back(drawn: tuple[Labelled, list[int]]) -> None:
    case, cuts = drawn
    shown = shown_while_streaming(case.raw, cuts)
    assert shown[-1].text == ""
    for each in shown:
        assert '"action"' not in folded(each.text)
        assert "ticket_status" not in folded(each.text)
    assert any(each.text for each in shown) == any(each.reset for each in shown)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: f"{case.source}: {case.name}")
def test_letter_by_letter_the_end_agrees_with_the_verdict(case: Labelled) -> None:
    step = max(1, len(case.raw) // 300)
    shown = shown_while_streaming(case.raw, list(range(0, len(case.raw), step)))
    is_text = read_output(case.raw, REGISTRY).verdict is Verdict.TEXT
    assert shown[-1].text == (case.raw if is_text else "")
    if not is_text:
        assert not any('"action"' in folded(each.text) for each in shown)


def test_prose_is_shown_at_once() -> None:
    stream = StreamFilter(REGISTRY)
    for length in range(1, len(prose := "Yes, we do: within 3 days, for {amount} MYR [1][2]. Anything else?")):
        assert len(prose[:length].rstrip()) - len(stream.feed(prose[:length]).text) <= len("{amount}")


def test_an_object_that_is_no_action_is_shown_when_it_is_closed() -> None:
    stream = StreamFilter(REGISTRY)
    assert stream.feed('Prices: {"basic": 10').text == "Prices:"
    assert stream.feed('Prices: {"basic": 10} MYR').text == 'Prices: {"basic": 10} MYR'


def test_code_is_shown_while_it_is_written() -> None:
    stream = StreamFilter(REGISTRY)
    assert stream.feed("Try:\n```python\ndef f").text == "Try:\n```python\ndef f"
    assert stream.feed("Try:\n```python\ndef f():\n    return {1, 2}").text.endswith("2}")


def test_prose_before_an_action_is_taken_back_as_soon_as_it_is_named() -> None:
    stream = StreamFilter(REGISTRY)
    assert stream.feed("One moment. ").text == "One moment."
    assert stream.feed('One moment. {"action": "ticket_status", "rea') == VisibleText("", reset=True)
    assert stream.feed(f"One moment. {ACTION} Done.") == VisibleText("", reset=False)


def test_a_replaced_text_begins_anew() -> None:
    stream = StreamFilter(REGISTRY)
    stream.feed("The answer is 41")
    assert stream.feed("An answer is 42, surely") == VisibleText("An answer is 42, surely", reset=True)
    assert stream.feed(ACTION) == VisibleText("", reset=True)
    assert stream.finish("No, 43.") == VisibleText("No, 43.", reset=False)


def test_each_piece_of_a_long_text_is_read_once() -> None:
    raw = "All is well {so} far, says \"he\": 'fine'. " * 4_000
    stream = StreamFilter(REGISTRY)
    for end in range(0, len(raw), 500):
        stream.feed(raw[:end])
    assert stream.steps <= 2 * len(raw)
