"""Markdown as customers see it in WhatsApp."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.whatsapp.rendering import render
from schemas.turns import Source

SOURCES = [
    Source(n=1, title="Solar *law*", url="https://gov.example/law_"),
    Source(n=2, title="", url="https://news.example/a"),
    Source(n=3, title="Never cited", url="https://never.example"),
]


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**bold** and *italic*, ~~gone~~", "*bold* and _italic_, ~gone~"),
        ("***both***", "_*both*_"),
        ("**a *b* c**", "*a _b_ c*"),
        ("__bold__ _italic_", "*bold* _italic_"),
        ("**over\ntwo lines**", "*over*\n*two lines*"),
        ("**one\n\ntwo** three", "one\n\ntwo three"),
        ("un**bold**able", "unboldable"),
        ("5*3*2 = 30", "5*3*2 = 30"),
        ("5 * 3 * 2 and 2 ** 3", "5 * 3 * 2 and 2 ** 3"),
        ("snake_case_name", "snake_case_name"),
        (r"\*not bold\*", "∗not bold∗"),
        (r"\_not italic\_ ~either~", "ˍnot italicˍ ∼either∼"),
        ("one footnote* only", "one footnote* only"),
        ("`x * y`", "`x * y`"),
        ("``a`b``", "```a`b```"),
        ("`` a```b ``", "```aˋˋˋb```"),
        ("# Title **x**", "*Title x*"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("a  \nb", "a\nb"),
        ("---", "———"),
    ],
)
def test_emphasis(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("* a\n* b", "* a\n* b"),
        ("- a\n  - b\n    - c\n- d", "- a\n  - b\n    - c\n- d"),
        ("3. a\n4. b", "3. a\n4. b"),
        ("1. a\n   - b\n2. c", "1. a\n   - b\n2. c"),
        ("> a\n> b", "> a\n> b"),
        ("> a\n>> b", "> a\n>\n> b"),
        ("```py\nx = 1\n\n  y\n```", "```\nx = 1\n\n  y\n```"),
        ("~~~\na ``` b\n~~~", "```\na ˋˋˋ b\n```"),
        ("    indented", "```\nindented\n```"),
        ("- a\n\n  ```\n  x\n  ```\n- b", "- a\n```\nx\n```\n\n- b"),
        ("> ```\n> x\n> ```", "```\nx\n```"),
    ],
)
def test_blocks(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("[our shop](https://a.example/x)", "our shop (https://a.example/x)"),
        ("[https://a.example](https://a.example/)", "https://a.example/"),
        ("<https://a.example>", "https://a.example"),
        ("[mail us](mailto:a@b.example)", "mail us (a@b.example)"),
        ("![the roof](https://a.example/r.png)", "the roof (https://a.example/r.png)"),
        ("![](https://a.example/r.png)", "https://a.example/r.png"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("[x](ftp://a.example)", "[x](ftp://a.example)"),
        ("[x](relative/path)", "[x](relative/path)"),
        ("**see https://a.example/_b_/c**", "*see* https://a.example/_b_/c"),
        ('[x](https://a.example "Our menu")', "x (https://a.example “Our menu”)"),
        ("see (https://a.example/a_b).", "see (https://a.example/a_b)."),
        ("https://a.example/a_(b)", "https://a.example/a_(b)"),
        ("[x](https://例え.jp/パス?a=%20)", "x (https://例え.jp/パス?a=%20)"),
        ("**Link**https://a.example/x 은", "Link https://a.example/x 은"),
        ("**https://a.example**은", "https://a.example 은"),
        ("20[30 Tage](https://a.example)", "20 30 Tage (https://a.example)"),
        ("![Chart](attachment:c) Great![1](含税)", "Chart Great![1](含税)"),
    ],
)
def test_links_and_images(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("a<br>b", "a\nb"),
        ("<b>x</b> <span class='y'>z</span>", "x z"),
        ("<div>\n**x**\n</div>", "*x*"),
        ("List<String> a < b > c", "List<String> a < b > c"),
        ("a &amp; b &lt;script&gt;", "a & b <script>"),
        ("a <b and c> d <your-name>", "a <b and c> d <your-name>"),
        ("10<sup>2</sup> H<sub>2</sub>O x<sup>n+1</sup>", "10² H₂O x^(n+1)"),
        ("<s>50</s>40", "~50~ 40"),
        ("<table><tr><td>5</td><td>6</td></tr></table>", "5 6"),
        ("<ul><li>One</li><li>Two</li></ul>", "- One\n- Two"),
        ("<a href='https://a.example/x_'>here</a>", "here (https://a.example/x_)"),
        ("<!-- a\n\nb -->\nshown", "shown"),
        ("<!-- hidden --> shown", "shown"),
    ],
)
def test_html(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


def test_a_table_of_two_columns_is_a_list() -> None:
    assert render("| Size | Price |\n|---|--:|\n| **S** | 1 |\n| M | 2 |") == "Size: Price\n- *S*: 1\n- *M*: 2"


def test_a_wider_table_is_a_list_of_records() -> None:
    markdown = "| Plan | Price | Note |\n|---|---|---|\n| S | 1 | *new* |\n| M | 2 | |"

    assert render(markdown) == "Plan: *S*\n- Price: 1\n- Note: _new_\n\nPlan: *M*\n- Price: 2"


def test_only_cited_sources_are_listed() -> None:
    shown = render("Panels pay off[2][1].[9] `x[3]`", SOURCES)

    assert shown.startswith("Panels pay off[2][1].[9] `x[3]`\n\n*Sources*\n")
    assert shown.split("\n")[3:] == [
        "[1] Solar ∗law∗ – https://gov.example/law_",
        "[2] news.example – https://news.example/a",
    ]


def test_without_citations_there_is_no_list() -> None:
    assert render("Panels pay off.", SOURCES) == "Panels pay off."


def test_a_source_that_leads_nowhere_good_has_no_address() -> None:
    shown = render("x[1]", [Source(n=1, title="A\nB", url="javascript:alert(1)")], sources_label="Quellen")

    assert shown == "x[1]\n\n*Quellen*\n[1] A B"


def test_right_to_left_text_keeps_its_order() -> None:
    assert render("مرحبا **بالعالم** [1]\n\n- שלום *עולם*") == "مرحبا *بالعالم* [1]\n\n- שלום _עולם_"


@pytest.mark.parametrize("nothing", ["", " ", "\n\n", "<br>", "[]()", "<!-- x -->"])
def test_nothing_to_say_stays_nothing(nothing: str) -> None:
    assert render(nothing) == ""


@pytest.mark.parametrize("nested", ["- ", "> ", "1. "])
def test_words_at_any_depth_are_shown(nested: str) -> None:
    assert "deep" in render(nested * 30 + "deep")
    assert "deep" in render(nested * 500 + "deep")


words = st.text(st.characters(categories=["Ll", "Lo", "Nd"]), min_size=1, max_size=8)


openings = st.sampled_from(["", "**", "_", "`", "~~", "- ", "> ", "# ", "\n\n", "| ", "[1] ", "<b>", "1. ", "(", "\\*"])


@given(st.lists(st.tuples(openings, words), min_size=1, max_size=12))
def test_no_word_is_lost(said: list[tuple[str, str]]) -> None:
    shown = render(" ".join(opening + word for opening, word in said))

    assert all(word in shown for _, word in said)


@given(st.text(max_size=200))
@example("*" * 100 + "a" + "_" * 100)
@example("> " * 200)
@example("- " * 200)
@example("[" * 200)
@example("http://[::1")
@example("[1]: http://[")
def test_any_text_renders(text: str) -> None:
    render(text, SOURCES)


@given(st.text(alphabet="ab *_~`\\", max_size=30))
def test_escaped_text_never_becomes_formatting(text: str) -> None:
    escaped = "".join(f"\\{each}" if each in "*_~`\\" else each for each in text.replace("\\", ""))

    shown = re.sub(r"`[^`]+`", "x", render(escaped))  # a name as code, in which no mark has an effect

    for mark in "*_~`":
        assert not _formats(shown, mark)


def _formats(line: str, mark: str) -> bool:
    """Whether two of *mark* in *line* would format what is between them, by the rules of `emphasis.py`.

    Marks in a row are one: `2**3**2` has none that is not inside a word.
    """
    runs = [(found.start(), found.end()) for found in re.finditer(f"{re.escape(mark)}+", line)]
    opening = [
        end for start, end in runs if not line[max(start - 1, 0) : start].isalnum() and line[end : end + 1].strip()
    ]
    closing = [start for start, end in runs if not line[end : end + 1].isalnum() and start and line[start - 1].strip()]
    return any(line[start:end].strip(f"{mark} ") for start in opening for end in closing if start < end)


def test_powers_stay_as_they_were_written() -> None:
    assert render(r"2\*\*3\*\*2") == "2**3**2"
