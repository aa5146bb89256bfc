"""Mathematics in plain signs, and as it is written where no table knows it."""

from __future__ import annotations

import pytest

from integrations.whatsapp.mathematics import in_plain_signs
from integrations.whatsapp.rendering import render


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (r"\frac{100}{3} \approx 33.3", "100/3 ≈ 33.3"),
        (r"2\frac{1}{2}", "2 1/2"),
        (r"\frac12mv^2", "1/2 mv²"),
        (r"\frac{a+b}{2\cdot c}", "(a+b)/(2 · c)"),
        (r"1{,}000 \times 5\%", "1,000 × 5%"),
        (r"10^{-3} + x^{n+1} + x_1 + x_{max}", "10^-3 + x^(n+1) + x₁ + x_max"),
        (r"30^\circ\text{C}", "30°C"),
        (r"\sqrt{x+1} = \sqrt[3]{8}", "√(x+1) = ∛8"),
        (r"\text{Total} = \text{RM } 20", "Total = RM 20"),
        (r"\left(1+r\right)^{12}", "(1+r)^12"),
        (r"\log x \le \sin(\alpha)", "log x ≤ sin(α)"),
        (r"a = 1 \\ b = 2", "a = 1\nb = 2"),
    ],
)
def test_what_the_tables_know(written: str, said: str) -> None:
    assert in_plain_signs(written) == said


@pytest.mark.parametrize(
    "written", ["", r"\weird{x}", r"\begin{matrix}", "{", "}", "x^", "a & b", r"\frac{1}", "{" * 50]
)
def test_what_they_do_not_know(written: str) -> None:
    assert in_plain_signs(written) is None


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        (r"Each pays \( \frac{100}{3} \approx 33.3 \).", "Each pays 100/3 ≈ 33.3."),
        ("So\n\\[\nx = 5\n- 3\n\\]\nok", "So\nx = 5 - 3\nok"),
        (r"$$\frac{1}{2}$$ and $5 \times 3$", "1/2 and 5 × 3"),
        (r"from $5 to $6, $\weird{x}$", r"from $5 to $6, $\weird{x}$"),
        (r"\( a_b \weird{x*y} \)", r"\( a_b \weird{x*y} \)"),
    ],
)
def test_in_a_reply(markdown: str, shown: str) -> None:
    assert render(markdown) == shown
