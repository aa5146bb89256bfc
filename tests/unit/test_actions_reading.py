"""The labelled corpus, and what holds for any output: the parser never raises and its work is linear."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.limits import ReadingLimits
from actions.objects import ObjectScanner
from actions.reading import read_output
from schemas.turns import ErrorCode, Verdict
from tests.unit.outputs.corpus import REGISTRY, Labelled, labelled_outputs

CORPUS = labelled_outputs()
MARKS = "{}[]:,\"“”'`\\/*#\n "
WORDS = (
    '{{ {" ": ```json\n [1] action "action": "ticket_status" null "reason": "a" "metadata": NaN 1e999 « /* // {action:'
)
PIECES = st.sampled_from([*MARKS, *WORDS.split(" "), "\u200b", "\ud800"])
ODD = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join))


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: f"{case.source}: {case.name}")
def test_an_output_gets_its_verdict(case: Labelled) -> None:
    parsed = read_output(case.raw, REGISTRY)
    assert parsed.verdict is case.verdict, parsed
    assert (parsed.action is not None) == (case.verdict is Verdict.ACTION)
    assert bool(parsed.errors) == (case.verdict is Verdict.INVALID)
    assert parsed.text == (case.raw if case.verdict is Verdict.TEXT else "")
    if case.paths is not None:
        assert set(case.paths) <= {error.path for error in parsed.errors}
    if case.notes is not None or case.verdict is Verdict.ACTION:
        assert (case.notes or "") in " ".join(parsed.notes)
        assert bool(parsed.notes) == (case.notes is not None)


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: f"{case.source}: {case.name}")
def test_a_lenient_assistant_accepts_prose_and_nothing_else(case: Labelled) -> None:
    parsed = read_output(case.raw, REGISTRY, lenient=True)
    assert parsed.verdict is (case.lenient or case.verdict), parsed
    assert ("overlooked: text around the action" in parsed.notes) == (case.lenient is not None)


def test_the_corpus_is_large_and_half_of_it_odd() -> None:
    assert len(CORPUS) >= 120
    assert sum(case.source in ("drift", "hostile") for case in CORPUS) >= len(CORPUS) / 2
    assert len({(case.source, case.name) for case in CORPUS}) == len(CORPUS)


def test_every_cut_of_an_action_is_invalid_or_nothing() -> None:
    whole = '{"action": "ticket_status", "reason": "Asks {now}, \\"please\\".", "metadata": {"ticket_id": "T-1"}}'
    verdicts = [read_output(whole[:length], REGISTRY).verdict for length in range(len(whole))]
    first = len('{"a')
    assert verdicts[:first] == [Verdict.TEXT] * first
    assert verdicts[first:] == [Verdict.INVALID] * (len(whole) - first)


def test_a_message_names_the_part_and_not_its_value() -> None:
    raw = '{"action": "create_ticket", "reason": "r", "metadata": {"subject": "4111 1111", "description": 41111111}}'
    parsed = read_output(raw, REGISTRY)
    assert [error.path for error in parsed.errors] == ["/metadata/description"]
    assert "4111" not in parsed.model_dump_json()


CODES = {
    '{"action": "ticket_status"': ErrorCode.CUT_OFF,
    'Sure. {"action": "ticket_status", "reason": "r"}': ErrorCode.NOT_ALONE,
    '{"response": {"action": "ticket_status", "reason": "r"}}': ErrorCode.NOT_ALONE,
    '{"action": "ticket_status", "reason": "a"}{"action": "ticket_status", "reason": "b"}': ErrorCode.SEVERAL_ACTIONS,
    '{"action": "ticket_status", "reason": "a", "reason": "b"}': ErrorCode.DUPLICATE_KEY,
    '{"action": "ticket_status", "reason": NaN}': ErrorCode.NOT_JSON,
    '{"action": "launch_rocket", "reason": "r"}': ErrorCode.UNKNOWN_ACTION,
    '{"action": "ticket_status"}': ErrorCode.MISSING,
    '{"action": "ticket_status", "reason": " "}': ErrorCode.BLANK,
    '{"action": "ticket_status", "reason": ""}': ErrorCode.TOO_SHORT,
    '{"action": "ticket_status", "reason": "r", "metadata": {"ticket_id": 7}}': ErrorCode.WRONG_TYPE,
    '{"action": "handoff_sales", "reason": "r", "metadata": {"urgency": "soon"}}': ErrorCode.NOT_ALLOWED,
    '{"action": "api_call", "reason": "r", "metadata": {"endpoint": "x", "params": {}}}': ErrorCode.UNKNOWN_ENDPOINT,
}


@pytest.mark.parametrize(("raw", "code"), CODES.items())
def test_each_kind_of_error_has_its_code(raw: str, code: ErrorCode) -> None:
    assert code in {error.code for error in read_output(raw, REGISTRY).errors}


VERSION, OTHER = "0123456789abcdef", "fedcba9876543210"
ECHOED = {
    "unknown action": '{"action": "launch_rocket", "reason": "r", "metadata": {}, "pack": "<V>"}',
    "metadata no object": '{"action": "ticket_status", "reason": "r", "metadata": "m", "pack": "<V>"}',
    "invalid metadata": '{"action": "ticket_status", "reason": "r", "metadata": {"x": 1}, "pack": "<V>"}',
    "no action": '{"reason": "r", "metadata": {}, "pack": "<V>"}',
    "fields missing": '{"action": "ticket_status", "pack": "<V>"}',
    "not alone": 'Sure: {"action": "ticket_status", "reason": "r", "pack": "<V>"}',
    "not the whole": '{"tool": {"action": "ticket_status", "reason": "r", "pack": "<V>"}}',
    "cut off": '{"pack": "<V>", "action": "ticket_status", "reason": "r',
    "broken before it": '{"action": "ticket_status", "reason": "says "hi"", "metadata": {}, "pack": "<V>"}',
    "a brace in the words": r'{"action": "ticket_status", "reason": "\"{\" says "hi"", "pack": "<V>"}',
    "beside the action": '{"x": 1, "pack": "<V>"}\naction: ticket_status',
    "twice": '{"action": "ticket_status", "reason": "r", "pack": "<V>", "pack": "<O>"}',
    "spaces around": '{"action": "ticket_status", "reason": "r", "pack": " <V>\\n"}',
    "too long an object": f'{{"action": "ticket_status", "reason": "{"x" * 200}", "pack": "<V>"}}',
    "too long an output": f'{{"action": "ticket_status", "reason": "{"x" * 1_000}", "pack": "<V>"}}',
}


@pytest.mark.parametrize("raw", ECHOED.values(), ids=ECHOED)
def test_the_pack_that_an_object_echoes_is_found_whatever_is_wrong_with_it(raw: str) -> None:
    limits = ReadingLimits(object_characters=200, output_characters=1_000)
    raw = raw.replace("<V>", VERSION).replace("<O>", OTHER)
    assert read_output(raw, REGISTRY, limits=limits).pack == VERSION


TEXTS = [
    *("", 'Choose {"pack": "<V>"}.', '{"pack": "<V>"}', "pack: <V>"),
    *('{"reason": "r", "until": "u", "pack": "<V>"}', '{"action": "pay my bill", "reason": "r", "pack": "<V>"}'),
    '{"reason": "Ships on Monday", "metadata": {"pack": "<V>"}, "until": "Friday"}',
]


@pytest.mark.parametrize("raw", TEXTS)
def test_a_text_echoes_no_pack(raw: str) -> None:
    parsed = read_output(raw.replace("<V>", VERSION), REGISTRY)
    assert (parsed.verdict, parsed.pack) == (Verdict.TEXT, None)


ANOTHERS = {
    "valid": '{"action": "api_call", "reason": "r", "metadata": {"endpoint": "order", "params": {"pack": "<V>"}}}',
    "invalid": '{"action": "api_call", "metadata": {"endpoint": "order", "params": {"pack": "<V>"}}}',
    "not the whole": '{"tool": {"action": "api_call", "reason": "r", "metadata": {"pack": "<V>"}}, "pack": "<V>"}',
    "cut off": '{"action": "api_call", "reason": "r", "metadata": {"endpoint": "order", "params": {"pack": "<V>"',
    "broken before it": '{"action": "api_call", "reason": "says "hi"", "metadata": {"params": {"pack": "<V>"}}}',
    "broken behind it": '{"action": "api_call", "metadata": {"pack": "<V>", "note": "says "hi""}, "reason": "r"}',
    "broken around it": '{"action": "api_call", "reason": "a "b"", "metadata": {"pack": "<V>", "note": "c "d""}}',
    "a brace in the words": '{"action": "api_call", "metadata": {"note": "}", "pack": "<V>"',
    "too long": f'{{"action": "api_call", "reason": "{"x" * 1_000}", "metadata": {{"pack": "<V>"}}}}',
    "a form that is text": '{"action": "pay my bill", "reason": "r", "metadata": {"pack": "<V>"}}',
}
"""A parameter that happens to have the name, with a value of the customer's."""


@pytest.mark.parametrize("value", [VERSION, "4111111111111111", "12 bottles"])
@pytest.mark.parametrize("raw", ANOTHERS.values(), ids=ANOTHERS)
def test_a_parameter_of_that_name_is_no_echo(raw: str, value: str) -> None:
    limits = ReadingLimits(output_characters=1_000)
    assert read_output(raw.replace("<V>", value), REGISTRY, limits=limits).pack is None


@pytest.mark.parametrize(
    "value", ["12 bottles", "v1", "0123456789ABCDEF", f"{VERSION}0", f"{VERSION} 7", "", "4111 1111"]
)
def test_what_has_not_the_form_of_a_version_is_no_echo(value: str) -> None:
    for raw in ECHOED.values():
        assert read_output(raw.replace("<V>", value).replace("<O>", value), REGISTRY).pack is None


def test_an_unknown_name_is_told_what_there_is() -> None:
    (error,) = read_output('{"action": "create_tiket", "reason": "r"}', REGISTRY).errors
    assert "did you mean create_ticket?" in error.message
    assert "close_account" not in error.message


def test_errors_are_few_however_many_there_are() -> None:
    fields = ",".join(f'"x{number}": 1' for number in range(3_000))
    parsed = read_output(f'{{"action": "ticket_status", "reason": "r", "metadata": {{{fields}}}}}', REGISTRY)
    assert parsed.verdict is Verdict.INVALID
    assert len(parsed.errors) == ReadingLimits().errors


@given(ODD, st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_parser_never_raises(raw: str, lenient: bool) -> None:
    parsed = read_output(raw, REGISTRY, lenient=lenient)
    assert (parsed.verdict is Verdict.INVALID) == bool(parsed.errors)
    assert parsed.text == (raw if parsed.verdict is Verdict.TEXT else "")


@given(ODD)
@settings(max_examples=400, deadline=None)
def test_every_character_is_read_once(raw: str) -> None:
    scanner = ObjectScanner(ReadingLimits())
    scanner.advance(raw * 20, final=True)
    assert scanner.steps <= 20 * len(raw)


@pytest.mark.parametrize("case", [case for case in CORPUS if case.repeat], ids=lambda case: case.name)
def test_every_character_of_a_hostile_output_is_read_once(case: Labelled) -> None:
    scanner = ObjectScanner(ReadingLimits())
    scanner.advance(case.raw, final=True)
    assert scanner.steps <= len(case.raw)


@given(st.sampled_from([case.raw for case in CORPUS if case.verdict is Verdict.ACTION]), ODD, ODD)
@settings(max_examples=300, deadline=None)
def test_an_action_with_anything_around_it_is_never_another_action(action: str, before: str, after: str) -> None:
    alone = read_output(action, REGISTRY).action
    for lenient in (False, True):
        parsed = read_output(before + action + after, REGISTRY, lenient=lenient)
        assert parsed.action in (None, alone)
