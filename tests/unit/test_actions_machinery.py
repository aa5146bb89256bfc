"""What a model says to itself or to its machine never reaches a customer, streamed or not; and good answers do."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.machinery import heard
from actions.reading import read_output
from actions.registry import Registry
from actions.stream_filter import StreamFilter
from schemas.actions import ActionDefinition, AssistantActions
from schemas.turns import Verdict
from storage.desk import number_of

REFUND = ActionDefinition(
    name="refund",
    description="Pays back",
    metadata_schema={"type": "object", "properties": {}},
    handler="create_ticket",
)
REGISTRY = Registry(AssistantActions(custom=(REFUND,), enabled=("refund", "create_ticket", "handoff_sales")))
OPEN = "We open at nine."
HANDOFF = json.dumps({"action": "handoff_sales", "reason": "Asked for it", "metadata": {"summary": "40 chairs"}})

THOUGHTS = {
    "tags": f"<think>The margin is 40 percent, so I could offer a discount.</think>\n\n{OPEN}",
    "no tag that opens": f"The customer is rude.\n</think>\n\n{OPEN}",
    "in capitals": f"<THINKING>Rude.</THINKING>{OPEN}",
    "in the middle": f"<think>a</think>\n\nWe open <reasoning>nine? ten? {HANDOFF}</reasoning>at nine.",
    "with code": f"<think>\n```python\nx = 1\n</think>\n{OPEN}",
    "channels": "<|channel|>analysis<|message|>Rude.<|end|><|start|>assistant"
    f"<|channel|>final<|message|>{OPEN}<|return|>",
    "an end of the message": f"{OPEN}<|im_end|>",
}


def streamed(output: str, step: int = 1) -> list[str]:
    """Every text that a reader has seen, whole."""
    stream = StreamFilter(REGISTRY)
    ends = range(step, len(output) + step, step)
    return [*(stream.feed(output[:end]).text for end in ends), stream.finish(output).text]


@pytest.mark.parametrize("name", THOUGHTS)
def test_thoughts_are_left_out(name: str) -> None:
    parsed = read_output(THOUGHTS[name], REGISTRY)

    assert (parsed.verdict, parsed.text) == (Verdict.TEXT, OPEN)
    assert parsed.notes == ["left out: thoughts, or marks of the model's own"]


@pytest.mark.parametrize("name", THOUGHTS)
@pytest.mark.parametrize("step", [1, 7])
def test_they_are_not_streamed_either(name: str, step: int) -> None:
    seen = streamed(THOUGHTS[name], step)

    assert seen[-1] == OPEN
    if name != "no tag that opens":  # nobody can know it before its end, which takes it back
        assert all(OPEN.startswith(text) for text in seen)


@pytest.mark.parametrize(
    "output",
    [f"<think>\nHand over.\n</think>\n\n{HANDOFF}", f"Hm.</think>```json\n{HANDOFF}\n```", f"{HANDOFF}<|im_end|>"],
)
def test_an_action_behind_thoughts_is_done_and_noted(output: str) -> None:
    parsed = read_output(output, REGISTRY)

    assert parsed.verdict is Verdict.ACTION
    assert parsed.notes == ["left out: thoughts, or marks of the model's own"]
    assert set(streamed(f"<think>a</think>{HANDOFF}")) == {""}


@pytest.mark.parametrize(
    "output", ["<think>Only this.</think>", "<think>It breaks off", "<|im_end|>", "Rude.</think> \n"]
)
def test_nothing_but_thoughts_is_no_answer(output: str) -> None:
    parsed = read_output(output, REGISTRY)

    assert parsed.verdict is Verdict.INVALID
    assert streamed(output)[-1] == ""


ARGUMENTS = '{"subject": "Broken lamp", "description": "Arrived broken"}'
CALLS = [
    '<function_calls>\n<invoke name="create_ticket">\n<parameter name="subject">Lamp</parameter>\n'
    "</invoke>\n</function_calls>",
    f"<function=create_ticket>{ARGUMENTS}</function>",
    f"[TOOL_CALLS]create_ticket{ARGUMENTS}",
    f"<|channel|>commentary to=functions.create_ticket <|constrain|>json<|message|>{ARGUMENTS}",
    f"<|tool_call_begin|>functions.create_ticket:0<|tool_call_argument_begin|>{ARGUMENTS}<|tool_call_end|>",
    f"<｜tool▁calls▁begin｜>create_ticket{ARGUMENTS}<｜tool▁calls▁end｜>",
    f'<tool_call>{{"name": "create_ticket", "arguments": {ARGUMENTS}}}</tool_call>',
    f"```tool_code\ncreate_ticket({ARGUMENTS})\n```",
    f"<think>They want a ticket.</think><tool_use>create_ticket {ARGUMENTS}</tool_use>",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("before", ["", "One moment. "])
def test_a_call_in_another_notation_is_asked_again_and_never_shown(call: str, before: str) -> None:
    parsed = read_output(before + call, REGISTRY)

    assert parsed.verdict is Verdict.INVALID
    assert parsed.errors
    assert all(before.startswith(text) for text in streamed(before + call))
    assert streamed(before + call)[-1] == ""


@pytest.mark.parametrize(
    "answer",
    [
        "In the log, look for `<think>` and `</think>`; they frame its thoughts.",
        '```xml\n<function_calls>\n  <invoke name="x"/>\n</function_calls>\n```\nThat is how it looks.',
        "If 3 < x and y > 2, press <Enter>. I think so.",
        "- **Action:** Create ticket\n- **Priority:** High\n\nThen press Save.",
        'You get it back.\n\n- Reason: cancelled within 14 days\n- In our terms this is called a "refund".',
        "Here is your case:\n\nAction: Refund\nOrder: 10423\nPaid back on Tuesday",
        "Action: refund\nOrder: 10423",
    ],
)
def test_an_answer_that_only_looks_like_it_is_shown(answer: str) -> None:
    parsed = read_output(answer, REGISTRY)

    assert (parsed.verdict, parsed.text) == (Verdict.TEXT, answer)
    assert streamed(answer)[-1] == answer


@pytest.mark.parametrize("output", ["action: refund\nreason: Asks.", "**Action**: create_ticket"])
def test_a_name_as_it_is_spelt_is_meant(output: str) -> None:
    assert read_output(output, REGISTRY).verdict is Verdict.INVALID


MARKS = (
    "[web:1]|【1】| [1, 2]|citeturn0search0|\ue200cite\ue202turn0search0\ue202turn0news1\ue201"
    "|[^1]|[1-3]|【3:0†source】|[1][2]"
)


@pytest.mark.parametrize("mark", [*MARKS.split("|"), " [1] [2,3]\n"])
def test_a_citation_behind_an_action_in_whatever_notation(mark: str) -> None:
    assert read_output(HANDOFF + mark, REGISTRY).verdict is Verdict.ACTION


@pytest.mark.parametrize("written", ["10423", "10423.0", "1.0423e4"])
def test_a_whole_number_is_one_however_it_is_written(written: str) -> None:
    schema = {"type": "object", "properties": {"number": {"type": "integer"}}}
    own = REFUND.model_copy(update={"metadata_schema": schema})
    output = f'{{"action": "refund", "reason": "r", "metadata": {{"number": {written}}}}}'

    parsed = read_output(output, Registry(AssistantActions(custom=(own,), enabled=("refund",))))

    assert parsed.action is not None
    assert repr(parsed.action.metadata["number"]) == "10423"


SPELLINGS = (
    "T-1002|T‑1002|T–1002|T-1002[1]|#T-1002|**T-1002**|T1002|T 1002|Ticket T-1002|T-1002.|t-1002|1002|T-1002\u00a0"
    "|Ｔ－１００２|工单 T-1002|ticket no. 1002|T-1002【1】|_T-1002_|(T-1002)"
)
OTHERS = "T-1002 or T-1003|SUP-1002|A-1002|1002.5|my lamp|T-|10 02|XT-1002"


@pytest.mark.parametrize("ticket_id", SPELLINGS.split("|"))
def test_a_tickets_id_is_read_in_any_spelling(ticket_id: str) -> None:
    assert number_of(ticket_id) == 1002


@pytest.mark.parametrize("ticket_id", OTHERS.split("|"))
def test_what_cannot_be_read_as_one_is_none(ticket_id: str) -> None:
    assert number_of(ticket_id) is None


@given(st.text(alphabet='<>/|think`\n ab[]TOOL_CALS{}"action:', max_size=60))
def test_nothing_breaks_it(text: str) -> None:
    assert len(heard(text).text) <= len(text)
    assert streamed(text)[-1] == (read_output(text, REGISTRY).text or "")


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<think></think>", "`", "```", "<|a|>", "[TOOL_CALLS]", "<"])
def test_it_is_linear(piece: str) -> None:
    began = time.process_time()
    heard(piece * 100_000)

    assert time.process_time() - began < 5
