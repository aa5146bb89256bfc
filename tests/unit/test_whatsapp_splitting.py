"""Long texts in numbered parts: nothing lost, no part too long, nothing cut that belongs together."""

from __future__ import annotations

import re

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from integrations.whatsapp.splitting import FENCE, measure, shorten, split

FAMILY = "👨‍👩‍👧‍👦"
pieces = st.one_of(
    st.sampled_from(["word ", "Sentence. ", "\n\n", "\n", FAMILY, "🇲🇾", "é́", "नमस्ते ", "。", "x" * 90, "- item\n"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
)
texts = st.lists(pieces, max_size=60).map("".join).filter(lambda text: FENCE not in text)


def body(part: str) -> str:
    return re.sub(r"\A\(\d+/\d+\)\n", "", part)


def squeezed(text: str) -> str:
    return regex.sub(r"\s+", "", text)


@given(texts, st.integers(64, 400))
def test_nothing_is_lost_and_no_part_is_too_long(text: str, limit: int) -> None:
    parts = split(text, limit)

    assert all(0 < measure(part) <= limit for part in parts)
    if len(parts) > 1:
        assert squeezed("".join(map(body, parts))) == squeezed(text)
        assert [part.split("\n")[0] for part in parts] == [f"({n}/{len(parts)})" for n in range(1, len(parts) + 1)]


@given(texts, st.integers(64, 400))
def test_no_grapheme_is_broken(text: str, limit: int) -> None:
    whole = regex.findall(r"\X", text)
    if any(measure(each) > limit - 20 for each in whole):
        return
    parts = split(text, limit)

    rejoined = [each for part in parts for each in regex.findall(r"\X", body(part) if len(parts) > 1 else part)]
    assert [each for each in rejoined if not each.isspace()] == [each for each in whole if not each.isspace()]


def test_a_short_text_has_no_number() -> None:
    assert split("  Hello  ", 64) == ["Hello"]
    assert split(" \n ", 64) == []


def test_a_text_of_exactly_the_limit_is_one_part() -> None:
    assert split("😀" * 32, 64) == ["😀" * 32]
    assert len(split("😀" * 33, 64)) == 2


def test_paragraphs_are_kept_whole() -> None:
    paragraph = "One sentence. Another one."

    parts = split("\n\n".join([paragraph] * 6), 70)

    assert [body(part) for part in parts] == [f"{paragraph}\n\n{paragraph}"] * 3


def test_else_sentences_are_kept_whole() -> None:
    parts = split("A sentence of thirty characters. " * 6, 80)

    assert all(body(part).endswith(".") for part in parts)


def test_an_emoji_is_never_cut() -> None:
    parts = split(FAMILY * 40, 64)

    assert all(body(part) == FAMILY * body(part).count(FAMILY) for part in parts)


def test_a_code_block_is_closed_and_opened_again() -> None:
    code = "\n".join(f"line {n:03}" for n in range(60))

    parts = split(f"Before\n\n{FENCE}\n{code}\n{FENCE}\n\nAfter", 128)

    assert all(part.split("\n").count(FENCE) % 2 == 0 for part in parts)
    assert re.findall(r"line \d{3}", "".join(parts)) == code.split("\n")
    assert all(measure(part) <= 128 for part in parts)


def test_a_code_block_that_fits_is_not_cut() -> None:
    block = f"{FENCE}\na = 1\n\n\n    b = 2\n{FENCE}"

    parts = split("words " * 15 + f"\n\n{block}\n\nmore " + "words " * 5, 110)

    assert any(block in part for part in parts)


lines = st.lists(st.text("ab =", max_size=30), min_size=1, max_size=40).map("\n".join)


@given(lines, lines, st.integers(64, 200))
def test_code_of_any_form_is_kept_in_blocks(before: str, code: str, limit: int) -> None:
    parts = split(f"{before}\n{FENCE}\n{code}\n{FENCE}\n{before}", limit)

    assert all(part.split("\n").count(FENCE) % 2 == 0 for part in parts)
    assert all(measure(part) <= limit for part in parts)
    told = "".join(body(part) for part in parts).replace(FENCE, "")
    assert squeezed(told) == squeezed(before + code + before)


def test_a_grapheme_longer_than_a_part_is_cut_at_last() -> None:
    zalgo = "a" + "\u0301" * 500

    parts = split(zalgo, 64)

    assert "".join(map(body, parts)) == zalgo
    assert all(measure(part) <= 64 for part in parts)


@pytest.mark.parametrize("limit", [1_600, 4_096])
def test_a_very_long_answer_is_split_in_order(limit: int) -> None:
    text = " ".join(f"Sentence number {n}." for n in range(9_000))

    parts = split(text, limit)

    numbers = [int(each) for part in parts for each in re.findall(r"number (\d+)", part)]
    assert numbers == list(range(9_000))


WHOLE = [
    "https://a.example/" + "x/" * 20,
    "`a b; c d; e f`",
    "1,299.00",
    "*three bold words*",
    "my_name@mail.example",
]


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("filler", ["字", "words ", "A sentence. ", "行\n"])
def test_an_address_code_a_figure_and_bold_words_stay_whole_where_they_fit(whole: str, filler: str) -> None:
    for length in range(0, 140, 3):
        before = (filler * length)[:length]
        text = f"{before} {whole} {filler * 40}"

        assert any(whole in part for part in split(text, 100)), text


def test_an_address_longer_than_a_part_is_cut_at_last() -> None:
    address = "https://a.example/" + "x" * 500

    assert "".join(map(body, split(address, 100))) == address


def test_what_is_too_long_is_cut_where_a_part_would_be() -> None:
    assert shorten("One sentence. Another one.", 20) == "One sentence."
    assert shorten("short", 20) == "short"
    assert shorten(f"a\n{FENCE}\n" + "line\n" * 50, 60).endswith(f"line\n{FENCE}")


@given(texts, st.integers(64, 400))
def test_what_is_cut_is_never_too_long(text: str, limit: int) -> None:
    kept = shorten(text, limit)

    assert measure(kept) <= limit
    assert squeezed(text).startswith(squeezed(kept))


def test_a_limit_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        split("x", 63)
