r"""Mathematics as models write it (`\frac{100}{3} \approx 33.3`) in plain signs: `100/3 ≈ 33.3`.

Only what the tables below know is put in other signs; of anything else the whole stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"\\(?P<command>[A-Za-z]+)|\\(?P<sign>.)|(?P<space>\s+)|(?P<other>.)", re.DOTALL)
_DEEPEST = 20
_BEFORE, _AFTER, _LINE = "\ue000", "\ue001", "\ue002"
"""Around a fraction, where a figure beside it needs a space (`2 1/2`); a line's end."""
_SPACED = {
    "times": "×", "div": "÷", "cdot": "·", "pm": "±", "mp": "∓", "approx": "≈", "leq": "≤", "le": "≤", "geq": "≥",
    "ge": "≥", "neq": "≠", "ne": "≠", "lt": "<", "gt": ">", "equiv": "≡", "sim": "∼", "simeq": "≃", "propto": "∝",
    "to": "→", "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "implies": "⇒", "iff": "⇔", "in": "∈",
    "Leftrightarrow": "⇔", "notin": "∉", "subset": "⊂", "subseteq": "⊆", "cup": "∪", "cap": "∩", "land": "∧",
    "lor": "∨", "ll": "≪", "gg": "≫", "therefore": "∴", "mid": "|", "longrightarrow": "→", "mapsto": "↦",
}  # fmt: skip
_PLAIN = {
    "infty": "∞", "degree": "°", "circ": "∘", "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂", "nabla": "∇",
    "forall": "∀", "exists": "∃", "emptyset": "∅", "prime": "′", "ldots": "…", "dots": "…", "cdots": "⋯", "angle": "∠",
    "checkmark": "✓", "star": "⋆", "bullet": "•", "euro": "€", "pounds": "£", "yen": "¥", "ast": "∗", "percent": "%",
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ",
    "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ",
    "Psi": "Ψ", "Omega": "Ω", "lbrace": "{", "rbrace": "}", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
    "langle": "⟨", "rangle": "⟩", "vert": "|", "backslash": "\\",
}  # fmt: skip
_NAMES = frozenset(
    [
        "log",
        "ln",
        "lg",
        "exp",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "max",
        "min",
        "lim",
        "sup",
        "inf",
        "det",
        "gcd",
        "lcm",
    ]
)
_OF_GROUP = frozenset(
    [
        "text",
        "textbf",
        "textit",
        "textrm",
        "mathrm",
        "mathbf",
        "mathit",
        "mathsf",
        "mathtt",
        "operatorname",
        "boxed",
        "mbox",
    ]
)
_FRACTIONS = frozenset(["frac", "dfrac", "tfrac", "cfrac"])
_NOTHING = frozenset(
    [
        "left",
        "right",
        "big",
        "Big",
        "bigg",
        "Bigg",
        "bigl",
        "bigr",
        "Bigl",
        "Bigr",
        "displaystyle",
        "limits",
        "nolimits",
    ]
)
_WIDE = frozenset(["quad", "qquad", "space", "enspace", "thinspace"])
_SIGNS = {",": " ", ";": " ", ":": " ", " ": " ", "!": "", "\n": " ", "\\": _LINE}
_ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SIMPLE = re.compile(r"[-+−]?[^\W_]+(?:[.,][0-9]+)*|[^\s+\-−*/·×÷=±(){}]{1,40}|\([^()]*\)")

_PRODUCT = re.compile(r"[0-9.,]+[^\W\d_].*", re.DOTALL)


class _Unknown(Exception):
    """The tables do not know it."""


def in_plain_signs(written: str) -> str | None:
    """What is between the delimiters, in plain signs on one or more lines; None: it cannot be, or is nothing."""
    if any(sign in written for sign in (_BEFORE, _AFTER, _LINE)):
        return None
    try:
        said = _Reader(written).all()
    except _Unknown:
        return None
    said = re.sub(rf"(?<=[\w)]){_BEFORE}", " ", said)
    said = re.sub(rf"{_AFTER}(?=[\w(√])", " ", said)
    said = re.sub(r"\s+", " ", said.replace(_BEFORE, "").replace(_AFTER, ""))
    return re.sub(rf" ?{_LINE} ?", "\n", said).strip() or None


def raised(said: str) -> str:
    """*said* as a power: `²` where there are such figures, else `^2` or `^(n+1)`."""
    return said.translate(_RAISED) if re.fullmatch("[0-9]+", said) else _after_sign("^", said)


def lowered(said: str) -> str:
    return said.translate(_LOWERED) if re.fullmatch("[0-9]+", said) else _after_sign("_", said)


def _after_sign(sign: str, said: str) -> str:
    return sign + (said if _SIMPLE.fullmatch(said) else f"({said})")


def _whole(said: str) -> str:
    """*said* in brackets, unless it is one thing anyway (`2a` below a line is not)."""
    said = said.strip(f"{_BEFORE}{_AFTER} ")
    is_one = _SIMPLE.fullmatch(said) and not _PRODUCT.fullmatch(said)
    return said if is_one else f"({said})"


class _Reader:
    """Reads once from left to right, and in groups up to `_DEEPEST` deep."""

    def __init__(self, written: str) -> None:
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(written)
        self._next = next(self._tokens, None)
        self._depth = 0

    def all(self) -> str:
        said = self._until(None)
        if self._next is not None:
            raise _Unknown
        return said

    def _take(self) -> re.Match[str]:
        if self._next is None:
            raise _Unknown
        token, self._next = self._next, next(self._tokens, None)
        return token

    def _until(self, closing: str | None) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Unknown
        said: list[str] = []
        while self._next is not None and self._next[0] != closing:
            if self._next[0] in ("}", "&"):
                raise _Unknown
            if self._next[0] in ("^", "_"):
                sign = self._take()[0]
                self._add_script(said, sign)
            else:
                said.append(self._piece())
        self._depth -= 1
        return "".join(said)

    def _add_script(self, said: list[str], sign: str) -> None:
        script = self._argument()
        base = said[-1] if said else ""
        if sign == "^" and script in ("∘", "°"):
            said.append("°")
        elif script == "′":
            said.append(script)
        elif base[-1:].isalpha() and re.fullmatch("[0-9]+", script):
            said.append(raised(script) if sign == "^" else lowered(script))
        else:
            if sign == "^" and len(base) > 1 and not base.isspace():
                said[-1] = _whole(base)
            said.append(_after_sign(sign, script))

    def _argument(self) -> str:
        """A group, or the one sign that stands in its place."""
        while self._next is not None and self._next["space"]:
            self._take()
        if self._next is None or self._next[0] in ("}", "^", "_", "&"):
            raise _Unknown
        return self._piece().strip()

    def _piece(self) -> str:
        token = self._take()
        if token["command"]:
            return self._command(token["command"])
        if token["sign"]:
            return _SIGNS.get(token["sign"], token["sign"]) if not token["sign"].isalnum() else self._unknown()
        if token[0] == "{":
            inside = self._until("}")
            self._take()
            return inside
        return " " if token[0] == "~" else token[0]

    def _unknown(self) -> str:
        raise _Unknown

    def _command(self, name: str) -> str:
        if name in _SPACED:
            return f" {_SPACED[name]} "
        if name in _NAMES:
            return name + (" " if self._next is not None and self._next[0][0] not in "({[^_ " else "")
        if name in _OF_GROUP:
            return self._argument() if name != "text" else self._words()
        if name in _FRACTIONS:
            above, below = self._argument(), self._argument()
            return f"{_BEFORE}{_whole(above)}/{_whole(below)}{_AFTER}"
        if name == "sqrt":
            return self._root()
        if name in _NOTHING:
            return self._without_point()
        if name in _WIDE:
            return " "
        return _PLAIN[name] if name in _PLAIN else self._unknown()

    def _words(self) -> str:
        """What stands in `\\text{…}` keeps the spaces at its ends."""
        return self._piece() if self._next is not None and self._next[0] == "{" else self._unknown()

    def _without_point(self) -> str:
        """`\\left.` is a bracket that is not there."""
        if self._next is not None and self._next[0] == ".":
            self._take()
        return ""

    def _root(self) -> str:
        index = ""
        if self._next is not None and self._next[0] == "[":
            self._take()
            index = self._until("]")
            self._take()
        root = _ROOTS.get(index.strip())
        return root + _whole(self._argument()) if root else self._unknown()
