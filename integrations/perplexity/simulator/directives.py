"""`[[sim: …]]` in a question: what exactly the simulator is to do with it. For tests and for trying things out.

`[[sim: fail=cut after=0.5 times=1]]`, `[[sim: reply=base64:SGVsbG8=]]`, `[[sim: reply="two words" slow=2]]`. A fault
may stand alone: `[[sim: http503]]`; so may one with its main number: `[[sim: stall=5]]`. With `times=N` a directive
holds for the first N askings of its text in its thread; of several, the first that still holds counts.
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Fault(StrEnum):
    """Every failure of the real wrapper (docs/wrapper.md), and the healthy rarities."""

    # Before upstream is asked
    REFUSE_SESSION = "refuse_session"
    ACCOUNT_EXPIRED = "account_expired"
    HTTP_429 = "http429"
    HTTP_502_HTML = "http502_html"
    HTTP_503 = "http503"
    HTTP_504 = "http504"
    HTTP_400 = "http400"
    HTML_200 = "html_200"
    NO_DESCRIPTORS = "no_descriptors"
    # Upstream gives nothing, or no answer
    BLOCKED = "blocked"
    DONE_ONLY = "done_only"
    DATA_NULL = "data_null"
    ANSWER_NULL = "answer_null"
    ERROR_FRAME = "error_frame"
    EXPECTING_VALUE = "expecting_value"
    LIST_INDEX = "list_index"
    UPSTREAM_CUT = "upstream_cut"
    UPSTREAM_EMPTY = "upstream_empty"
    UPSTREAM_SILENT = "upstream_silent"
    LIMIT = "limit"
    REFUSED = "refused"
    UNKNOWN_SHAPE = "unknown_shape"
    IN_PROGRESS_ONLY = "in_progress_only"
    # An answer exists, but does not arrive whole
    CUT = "cut"
    CUT_CLEAN = "cut_clean"
    STALL = "stall"
    HUGE = "huge"
    # Healthy, if rare
    SILENT = "silent"
    IN_PROGRESS_FRAMES = "frames_answer_only_in_progress"
    WORKFLOW = "workflow_blocks"
    PLAIN_TEXT = "plain_text"


NOT_ASKED = frozenset(
    {
        Fault.REFUSE_SESSION,
        Fault.ACCOUNT_EXPIRED,
        Fault.HTTP_429,
        Fault.HTTP_502_HTML,
        Fault.HTTP_503,
        Fault.HTTP_504,
        Fault.HTTP_400,
        Fault.HTML_200,
        Fault.NO_DESCRIPTORS,
    }
)
"""The question is recorded with `asked: false`, and makes no turn in its thread."""

NO_TURN = NOT_ASKED | {Fault.BLOCKED, Fault.DONE_ONLY, Fault.DATA_NULL, Fault.LIST_INDEX, Fault.LIMIT, Fault.REFUSED}
"""Upstream refused or never began: the thread has no turn of it. After all others it has one, seen or not."""


class Directive(BaseModel):
    """One directive. Times are real seconds (the pace does not change them)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fail: Fault | None = None
    reply: str | None = None
    repeat: int = Field(default=1, ge=1, le=10_000, description="so many paragraphs of reply")
    error: str | None = Field(default=None, description="text of error_frame")
    times: int | None = Field(default=None, ge=1)
    after: float = Field(default=0.5, ge=0, le=1, description="fraction of the text sent before cut or stall")
    seconds: float = Field(default=3_600, ge=0, description="of stall and silent")
    retry_after: str | None = Field(default=None, description="seconds, or a date")
    bytes: int = Field(default=10_000_000, ge=1, description="of huge")
    slow: float | None = Field(default=None, ge=0, description="the whole answer takes so many seconds")
    pace: float | None = Field(default=None, ge=0)


class DirectiveError(ValueError):
    """A directive that cannot be understood; the message says why."""


_IN_TEXT = re.compile(r"\[\[sim:(.*?)\]\]", re.DOTALL | re.IGNORECASE)
_WORD = re.compile(r'(\w+)(?:=(?:"([^"]*)"|(\S*)))?')
_FAULT_NAMES = frozenset(fault.value for fault in Fault)
_MAIN_NUMBER = {Fault.STALL: "seconds", Fault.SILENT: "seconds", Fault.HUGE: "bytes", Fault.CUT: "after"}


def directives_in(text: str) -> list[Directive]:
    """All directives of *text*, in order. Raises DirectiveError."""
    return [parse_directive(found.group(1)) for found in _IN_TEXT.finditer(text)]


def without_directives(text: str) -> str:
    return _IN_TEXT.sub("", text).strip()


def parse_directive(text: str) -> Directive:
    """What stands between `[[sim:` and `]]`. Raises DirectiveError."""
    values: dict[str, Any] = {}
    for name, quoted, bare in _WORD.findall(text):
        if name in _FAULT_NAMES:
            values["fail"] = name
            if bare and Fault(name) in _MAIN_NUMBER:
                values[_MAIN_NUMBER[Fault(name)]] = bare
        else:
            values[name] = _text(quoted or bare)
    if "slow" in values and values["slow"] == "":
        raise DirectiveError("slow= wants seconds")
    try:
        return Directive.model_validate(values)
    except ValidationError as error:
        raise DirectiveError("; ".join(f"{e['loc']}: {e['msg']}" for e in error.errors())) from None


def _text(value: str) -> str:
    if not value.startswith("base64:"):
        return value
    try:
        return base64.b64decode(value.removeprefix("base64:"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise DirectiveError(f"no base64 of UTF-8: {error}") from None
