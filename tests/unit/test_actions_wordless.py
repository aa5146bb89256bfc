"""An output without words for the customer is invalid, and the model is asked again."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.reading import read_output
from actions.registry import Registry
from actions.wordless import says_nothing
from integrations.whatsapp.rendering import render
from schemas.actions import AssistantActions
from schemas.turns import ErrorCode, Verdict

NOTHING = [
    "![](attachment:chart)",
    "![](https://a.example/chart.png)",
    "[1]: https://example.com/a",
    '[1]: https://example.com/a "A"\n[2]: <https://example.com/b>',
    "<img src='x'>",
    "<br>",
    "<p></p>",
    "<!-- nothing -->",
    "<!-- nothing\n\nat all -->\n\n![](x)",
    "[]()",
    "---",
    "```\n```",
    "- \n- ",
    "\u200b",
]
SOMETHING = ["Hi", "👍", "?", "5", ":)", "**Hi**", "[Menu]: https://x.example", "[1]", "![Chart](attachment:c)"]
SOMETHING += ["`<br>`", "<p>Hi</p>", "<!-- unfinished", "[^1]: note", "- 5", "是", "List<String>", "[1]: page 5"]


@pytest.mark.parametrize("output", NOTHING)
def test_it_is_invalid(output: str) -> None:
    parsed = read_output(output, Registry(AssistantActions()))

    assert (parsed.verdict, [error.code for error in parsed.errors]) == (Verdict.INVALID, [ErrorCode.NOTHING_SAID])


@pytest.mark.parametrize("output", SOMETHING)
def test_any_word_figure_or_sign_is_an_answer(output: str) -> None:
    assert read_output(output, Registry(AssistantActions())).verdict is Verdict.TEXT


pieces = st.sampled_from([*NOTHING, *SOMETHING, "\n\n", " ", "*", "_", "`", "<!--", "-->", "["])


@given(st.lists(pieces, max_size=6).map("".join))
def test_what_renders_to_nothing_is_no_answer(output: str) -> None:
    assert render(output) or says_nothing(output)


@pytest.mark.parametrize("repeated", ["<!--", "![](", "[1]: https://a\n", "<img ", "[](", "<b x="])
def test_a_long_output_is_looked_at_quickly(repeated: str) -> None:
    begun = time.process_time()

    says_nothing(repeated * (200_000 // len(repeated)))

    assert time.process_time() - begun < 5
