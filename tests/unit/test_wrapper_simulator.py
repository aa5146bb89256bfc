"""The simulator's own parts: directives, script, and shapes that are those of the real messages."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from actions.prompt_pack import repair_prompt, result_prompt
from actions.reading import read_output
from actions.registry import Registry
from actions.untrusted import wrap_untrusted
from integrations.perplexity.simulator.directives import (
    Directive,
    DirectiveError,
    Fault,
    directives_in,
    parse_directive,
    without_directives,
)
from integrations.perplexity.simulator.later_steps import asked_repair, is_later_step, told_result
from integrations.perplexity.simulator.script import (
    INSTRUCTIONS_MARK,
    ScriptedReply,
    customer_words,
    load_script,
    repaired_reply,
    scripted_reply,
)
from integrations.perplexity.simulator.shapes import Said, chunks_of, last_message, messages_of
from integrations.perplexity.simulator.threads import PastTurn
from schemas.turns import ErrorCode, OutputError, Verdict

REAL = Path(__file__).parents[3] / "shared" / "recordings" / "wrapper-answer-1d.json.gz"
SCRIPT = load_script()


def reply_to(words: str, *history: PastTurn, may_act: bool = False) -> ScriptedReply:
    return scripted_reply(SCRIPT, words, list(history), may_act=may_act)


def test_directives_are_found_in_order_and_taken_out() -> None:
    text = "Hello [[sim: fail=cut after=0.25 times=1]] there [[SIM: slow=2]]"

    assert directives_in(text) == [Directive(fail=Fault.CUT, after=0.25, times=1), Directive(slow=2)]
    assert without_directives(text) == "Hello  there"


@pytest.mark.parametrize(
    ("text", "directive"),
    [
        ("blocked", Directive(fail=Fault.BLOCKED)),
        ("stall=5", Directive(fail=Fault.STALL, seconds=5)),
        ("huge bytes=9", Directive(fail=Fault.HUGE, bytes=9)),
        ("fail=http429 retry_after=3", Directive(fail=Fault.HTTP_429, retry_after="3")),
        ('reply="two [1] words"', Directive(reply="two [1] words")),
        ("reply=base64:" + base64.b64encode('{"a": "ä"}'.encode()).decode(), Directive(reply='{"a": "ä"}')),
        ("reply=", Directive(reply="")),
    ],
)
def test_the_ways_to_write_one(text: str, directive: Directive) -> None:
    assert parse_directive(text) == directive


@pytest.mark.parametrize("text", ["fail=nonsense", "times=0", "colour=red", "reply=base64:@@", "after=2", "slow="])
def test_a_wrong_one_is_refused(text: str) -> None:
    with pytest.raises(DirectiveError):
        parse_directive(text)


@pytest.mark.parametrize(
    ("words", "action"),
    [
        ("I want to buy ten of them", "handoff_sales"),
        ("Ich möchte mit einem Menschen sprechen", "handoff_support"),
        ("quiero hablar con una persona", "handoff_support"),
        ("What is the status of my ticket SUP-12?", "ticket_status"),
        ("我的订单 A-10023 坏了", "create_ticket"),
    ],
)
def test_a_model_that_was_told_of_actions_writes_them(words: str, action: str) -> None:
    told, untold = reply_to(words, may_act=True), reply_to(words)

    text = told.text.removeprefix("```json\n").removesuffix("\n```")
    assert json.loads(text)["action"] == action
    assert "{" not in untold.text


def test_a_broken_order_needs_its_number_and_takes_it_from_the_next_message() -> None:
    first = reply_to("My parcel arrived broken", may_act=True)
    before = PastTurn("My parcel arrived broken", first.text, first.topic)

    second = reply_to("It is a-10023", before, may_act=True)

    assert "order number" in first.text
    assert json.loads(second.text)["metadata"]["subject"] == "Problem with order A-10023"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("When are you open?", "Saturday"),
        ("Wann habt ihr offen?", "Samstag"),
        ("hola", "¡Hola!"),
        ("价格多少", "449"),
        ("Can a {curly} question be <quoted>?", "“Can a {curly} question be <quoted>?”"),
        ("wie ist das bitte mit dem Pfand", "„wie ist das bitte"),
    ],
)
def test_prose_in_the_customers_language(words: str, part: str) -> None:
    assert part in reply_to(words).text


def test_earlier_turns_are_remembered() -> None:
    history = [PastTurn("My name is Mia", "Hello", ""), PastTurn("I like tea", "Good", "")]

    assert "“My name is Mia”" in reply_to("What did I say first?", *history).text


def invalid(*errors: tuple[str, str], raw: str) -> str:
    """The question that asks to mend *raw*."""
    listed = [OutputError(path=path, message=message, code=ErrorCode.MISSING) for path, message in errors]
    return repair_prompt(listed, raw, Registry())


def mended(question: str, words: str) -> str:
    repair = asked_repair(question)
    assert repair is not None
    return repaired_reply(SCRIPT, repair, words, []).text


def test_an_invalid_ticket_is_mended_and_keeps_what_was_right() -> None:
    raw = 'Sure! {"action": "create_ticket", "reason": "r", "metadata": {"subject": "Lamp", "priority": "mega"}} ok'
    question = invalid(("/metadata/description", "is missing"), ("/metadata/priority", "must be one of"), raw=raw)

    text = mended(question, "My lamp flickers")
    action = json.loads(text)

    assert read_output(text, Registry()).verdict is Verdict.ACTION
    assert (action["action"], action["metadata"]["subject"]) == ("create_ticket", "Lamp")
    assert (action["metadata"]["description"], action["metadata"]["priority"]) == ("My lamp flickers", "high")


def test_what_cannot_be_mended_is_an_answer_to_the_customer() -> None:
    raw = '{"action": "api_call", "reason": "How the ticket stands", "metadata": {"endpoint": "x"}}'
    question = invalid(("/metadata/endpoint", "unknown endpoint; there are: none"), raw=raw)

    assert "Saturday" in mended(question, "When are you open?")


@pytest.mark.parametrize("words", ["What is the status of my ticket SUP-12?", "errors in previous_output"])
def test_a_customers_question_asks_for_no_repair(words: str) -> None:
    assert not is_later_step(wrap_untrusted("customer_message", words))


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"status": "confirmed", "found": False}, "Found: no."),
        (
            {"status": "confirmed", "body": {"order_id": "A-1", "parts": ["lamp", None]}},
            "Order id: A-1. Parts: lamp, none.",
        ),
        ({"status": "confirmed", "body": "It is on its way."}, "It is on its way."),
        ({"status": "failed", "error": {"code": 7}}, "Status: failed. Error: code 7."),
    ],
)
def test_a_result_is_told_in_words(result: dict[str, Any], said: str) -> None:
    told = told_result(result_prompt("order_status", json.dumps(result)))

    assert told == f"Here is the result. {said}"


def test_a_result_that_was_cut_is_told_as_it_is() -> None:
    assert told_result(result_prompt("order_status", '{"body": "It is')) == 'Here is the result. {"body": "It is'


def test_the_customers_words_stand_after_the_instructions() -> None:
    assert customer_words(f"{INSTRUCTIONS_MARK}\nhandoff_sales …\n---\nHello there") == "Hello there"
    assert customer_words("Hello\n---\nthere") == "Hello\n---\nthere"


def said(text: str, **changes: Any) -> Said:
    source = reply_to("news").sources
    return Said("q", text, source, backend_uuid="b", context_uuid="c", slug="s", **changes)


@pytest.mark.parametrize("text", ["", "a", "Hello there", " x\n\n y ", "长" * 100, "x" * 60_000])
def test_chunks_are_the_text(text: str) -> None:
    assert "".join(chunks_of(text)) == text


def test_a_long_answer_streams_as_the_recorded_one_did() -> None:
    timed = messages_of(said(reply_to("latest news").text))
    texts = [one for one in timed if any(block["intended_usage"] == "ask_text" for block in one.message["blocks"])]

    assert 100 <= len(texts) <= 130
    assert texts[0].at == 3.8
    assert 8 <= timed[-1].at <= 13
    assert [one.message["status"] for one in timed].count("COMPLETED") == 1


def test_the_last_message_has_the_fields_that_were_recorded() -> None:
    real = REAL.exists() and json.loads(gzip.decompress(REAL.read_bytes()))
    fields = set(real) - {"account_used"} if real else set(last_message(said("x")))

    made = last_message(said("x"))

    assert set(made) == fields
    assert len(made) == 54
    assert not real or [set(block) for block in made["blocks"]] == [set(block) for block in real["blocks"]]
