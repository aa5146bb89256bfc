"""No rendering changes what was said: figures, signs, names, addresses and words, in any script."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from integrations.whatsapp.rendering import render
from schemas.turns import Source

SOURCE = Source(n=1, title="Prices", url="https://example.com/a")


@pytest.mark.parametrize(
    "said",
    [
        "24. Dezember: 9–14 Uhr\n26. Dezember: geschlossen\n1. Januar: geschlossen",
        "1999. war gut\n2010. auch\n007. war besser",
        "1) Pilih\n2) Bayar\n5) Siap",
        "Base price RM100\n+ RM20 delivery\n+ 6% tax\nTotal RM127.20",
        "+ 5 °C at noon\n- 2 °C at night\nand warmer then",
        "* 5 °C\n* 3 = 15",
        "> 5 kg: 10 €\n< 5 kg: 5 €\n>= 10 kg: frei",
        "5 + 3\n=\n8",
        "Rating:\n*****",
        "10*2=20*",
        "5*3*2 = 30, 2**10 = 1024, 2 ** 3 and 4 ** 5",
        "x**2 + y**2 = z**2, f(x)**2, a ** b und c ** d",
        "**x = 2**3",
        "Konto **34 und **56, Karte **** **** **** 1234, PIN ****",
        "f**k und sh*t",
        "https://youtu.be/dQw4w9WgXc_ and https://youtu.be/aaaaaaaaaa_",
        "https://a.example/_resi_/x?id=_a_*&b=~c~",
        "www.a.example/_b_ and ftp://a.example/_c_",
        "my_file_ and other_file_, a_b_@mail.example, _layout.tsx",
        r"\\nas01\public and C:\Program Files\_app\x and \\server\share$\_y",
        "/usr/*/bin and *.pdf",
        "List<String> and Map<K,V>; a <b and c> d; x<y; <3",
        "20[1](含税)，运费5元[1](另计)",
        "[Menu]: https://example.com/menu.pdf",
        "[siehe hier][ref] und Fußnote[^1]",
        "AT&T, R&D; ?a=1&copy=2",
        "It costs $5 (was $10), or $2_000",
        r"\( \unknown{x} \)",
        "| a | b |\n|---|---|\n| 1 | 2 | 3 |",
    ],
)
def test_it_is_sent_as_it_was_written(said: str) -> None:
    assert render(said) == said


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**注意：**请在24小时内付款。**「重要」**な点です。", "注意：请在24小时内付款。「重要」な点です。"),
        ("**注意：** 请付款。「**重要**」", "*注意：* 请付款。「*重要*」"),
        ("**바나나(Banana)**는 **3,000원**입니다", "바나나(Banana)는 3,000원입니다"),
        ("请联系**客服（24小时）**或访问**“帮助中心”**页面", "请联系客服（24小时）或访问“帮助中心”页面"),
        ("سعر **الحقيبة (الزرقاء)**هو **٥٠**", "سعر الحقيبة (الزرقاء)هو *٥٠*"),
        ("ה**מבצע הגדול** נגמר", "המבצע הגדול נגמר"),
        ("**ราคา**300บาท (**ลด 20%**แล้ว)", "ราคา300บาท (ลด 20%แล้ว)"),
        ("**नोट:**कल बंद, **₹500** है", "नोट:कल बंद, *₹500* है"),
        ("**Sale!**Jetzt, **RM20**sahaja, 20**元**", "Sale!Jetzt, RM20sahaja, 20元"),
        ("**Vitamin B**5 mg", "Vitamin B5 mg"),
        ("**Total: **RM 20", "Total: RM 20"),
        ("- **one\n- two**", "- one\n- two"),
        ("**Note: one only", "**Note: one only"),
        ("**A****B** und XX****1234", "*AB* und XX****1234"),
        ("（尾号**1234）账单**¥5.90**，**还款**", "（尾号**1234）账单¥5.90，*还款*"),
        ("30 €**\n**zzgl. Versand", "30 €**\n**zzgl. Versand"),
        ("**„Zitat“**; **»Wort«**, **«Цена»:** 5", "*„Zitat“*; *»Wort«*, *«Цена»:* 5"),
        ("_# 22_*1. a*", "_# 22_ _1. a_"),
        ("un*be*lievable", "un*be*lievable"),
        ("`x*y_z*`, `__init__`", "`x*y_z*`, `__init__`"),
        ("__init__.py und __main__.py", "`__init__.py` und `__main__.py`"),
        (r"C:\Program Files\_app_\x", r"C:\Program `Files\_app_\x`"),
        ("_https://a.example/x_ and _https://a.example/y_", "https://a.example/x and https://a.example/y"),
        ("5*-Hotel, *wichtig*, 4*-Hotel", "5*-Hotel, _wichtig_, 4*-Hotel"),
        ("~~50~~ 40 und ~5 kg", "~50~ 40 und ~5 kg"),
    ],
)
def test_marks_beside_letters_of_any_script(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        (r"snake\_case, \*x\*, 5 \* 3", "snake_case, ∗x∗, 5 * 3"),
        (r"26\. Dezember", "26. Dezember"),
        ("\\# 1\n\\- 2\n\\+ 3\n\\> 4", "# 1\n- 2\n+ 3\n> 4"),
        (r"\$20, 5\%, \#1", "$20, 5%, #1"),
        (r"\[1\] \[x\](y) \(call us\)", "[1] [x](y) (call us)"),
        ("one\\\ntwo", "one\ntwo"),
        (r"a \d+ \n \t b", r"a \d+ \n \t b"),
        (r"\<b> \&amp;", "<b> &amp;"),
    ],
)
def test_a_backslash_goes_only_before_a_mark_that_would_format(markdown: str, shown: str) -> None:
    assert render(markdown) == shown


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("RM 20[1](https://example.com/a) a month", "RM 20[1] a month"),
        ("RM 20[1](SST-included) a month", "RM 20[1](SST-included) a month"),
        ("RM 20[1](https://other.example/b)", "RM 20[1] (https://other.example/b)"),
        ("RM 20[[1]](https://example.com/a)", "RM 20[1]"),
    ],
)
def test_a_citation_is_no_figure_of_the_price(markdown: str, shown: str) -> None:
    assert render(markdown, [SOURCE]) == f"{shown}\n\n*Sources*\n[1] Prices – https://example.com/a"


def test_a_definition_says_where_its_citation_leads() -> None:
    shown = render('There [1].\n\n[1]: https://x.example/p_ "Paper"\n[2]: https://y.example')

    assert shown == "There [1].\n\n*Sources*\n[1] Paper – https://x.example/p_\n[2] y.example – https://y.example"


def test_columns_without_values_and_first_columns_keep_their_names() -> None:
    shown = render("| a | b | c |\n|---|---|---|\n| 1 | 2 | |\n| | 4 | |")

    assert shown == "a: *1*\n- b: 2\n- c: –\n\n- b: 4\n- c: –"


def test_a_line_below_a_table_is_no_row() -> None:
    assert render("| a | b |\n|---|---|\n| 1 | 2 |\nbelow") == "a: b\n- *1*: 2\n\nbelow"


def test_lines_below_a_list_or_quote_are_not_its_last_line() -> None:
    assert render("- a\n- b\nTotal") == "- a\n- b\nTotal"
    assert render("> he said\nI say") == "> he said\nI say"


word = st.text(st.characters(categories=["Lu", "Ll", "Lo"], exclude_characters="ªº"), min_size=2, max_size=8)
figure = st.sampled_from(["1,299.00", "20%", "-5", "+6%", "5*3", "2**10", "RM20", "€4.50", "007", "٥٠", "1.250.000,-"])
address = st.sampled_from(
    ["https://a.example/x_", "https://b.example/_b_?c=*d*", "user_@mail.example", "www.c.example/~e"]
)
name = st.sampled_from(["my_file_.txt", r"C:\a\_b", r"\\nas\_x_", "a_b_c", "*.pdf"])
piece = st.one_of(word, word, figure, address, name)
wrapped = st.tuples(st.sampled_from(["{}", "{}", "**{}**", "*{}*", "({})", "„{}“", "**„{}“**", "__{}__"]), piece).map(
    lambda pair: (pair[0].format(pair[1]) if pair[1][0].isalpha() and pair[1].isalpha() else pair[1], pair[1])
)
line_start = st.sampled_from(["", "", "- ", "* ", "+ ", "3. ", "# ", "> ", "| ", "\n"])
written = st.lists(st.tuples(line_start, st.lists(wrapped, min_size=1, max_size=6)), min_size=1, max_size=8)


@given(written)
@settings(max_examples=150)
def test_every_word_figure_address_and_name_is_read_back_in_order(
    lines: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    shown = render("\n".join(start + " ".join(each for each, _ in pieces) for start, pieces in lines))

    at = 0
    for expected in (said for _, pieces in lines for _, said in pieces):
        found = shown.find(expected, at)
        assert found >= 0, (expected, shown)
        at = found + len(expected)


MARKUP = [*"ab1 2*_~`#>-+[]().,:!\n中は(“”*_\\/=x", "**", "__", "~~", "\n\n", "- ", "1. ", "[1]", "한", "ا", "%", "€"]
markup = st.lists(st.sampled_from(MARKUP), max_size=40).map(
    lambda pieces: re.sub("`{2,}", "`", re.sub("~{3,}", "~~", "".join(pieces)))  # a fence's first word is no text
)


@given(markup)
@settings(max_examples=200)
@example("10*2=20*")
@example("a**b *c** d*")
def test_no_letter_and_no_figure_is_lost_moved_or_joined(text: str) -> None:
    shown = render(text).translate(dict.fromkeys(map(ord, "ˍˋ")))  # look-alikes of marks, which Unicode calls letters

    assert [each for each in shown if each.isalnum()] == [each for each in text if each.isalnum()]
    assert re.findall(r"\d+", shown) == re.findall(r"\d+", text)


REPEATED = [
    "*a ",
    "**a ",
    "[",
    "![",
    "[a](",
    "`a ",
    r"\(",
    "$",
    "$$",
    "<",
    "<!--",
    r"\*",
    "&",
    "@www.",
    "- a\n",
    "> ",
    "*_",
]


@pytest.mark.parametrize("repeated", REPEATED)
def test_twice_as_much_takes_about_twice_as_long(repeated: str) -> None:
    """In processor time, with room for what a loaded machine adds: a square would be four times, and many times so."""
    once, twice = (_seconds(repeated * (length // len(repeated))) for length in (10_000, 40_000))

    assert twice < 10 * once + 0.5


def _seconds(text: str) -> float:
    begun = time.process_time()
    render(text)
    return time.process_time() - begun
