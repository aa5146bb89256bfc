"""An answer and a directive → the response to send: the four healthy ways of asking, and every way to fail."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from integrations.perplexity.simulator.directives import Directive, Fault
from integrations.perplexity.simulator.playing import Piece, Plan, frame, json_plan, stream_plan
from integrations.perplexity.simulator.shapes import Timed, refused_message

_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1><p>SIMULATOR</p></body></html>"

_PROXY: dict[Fault, tuple[int, str, str]] = {
    Fault.HTTP_400: (400, "text/plain", "Invalid HTTP request received."),
    Fault.HTTP_429: (429, "text/plain", "Too Many Requests"),
    Fault.HTTP_502_HTML: (502, "text/html", _HTML.format("502 Bad Gateway")),
    Fault.HTTP_503: (503, "text/plain", "Service Unavailable"),
    Fault.HTTP_504: (504, "text/html", _HTML.format("504 Gateway Time-out")),
    Fault.HTML_200: (200, "text/html", _HTML.format("Just a moment…")),
}
"""Status, type and body that a proxy in front of the wrapper sends instead of it."""

_CURL = "Failed to perform, curl: ({}) {}. See https://curl.se/libcurl/c/libcurl-errors.html first for more details."
_ERRORS: dict[Fault, str] = {
    Fault.REFUSE_SESSION: _CURL.format(56, "Recv failure: Connection reset by peer"),
    Fault.ACCOUNT_EXPIRED: "HTTP Error 401: Unauthorized",
    Fault.NO_DESCRIPTORS: _CURL.format(7, "Could not connect to server"),
    Fault.ERROR_FRAME: "HTTP Error 500: Internal Server Error",
    Fault.EXPECTING_VALUE: "Expecting value: line 1 column 1 (char 0)",
    Fault.LIST_INDEX: "list index out of range",
    Fault.UPSTREAM_CUT: _CURL.format(18, "transfer closed with outstanding read data remaining"),
    Fault.UPSTREAM_EMPTY: _CURL.format(52, "Empty reply from server"),
    Fault.UPSTREAM_SILENT: _CURL.format(28, "Operation timed out after 30001 milliseconds with 0 bytes received"),
}
"""Texts of exceptions that the wrapper passes on: HTTP 500, or an error frame under HTTP 200. They are word for word
what it says; where it lost its session call before it asked, it does not say that either."""

_MARKED: dict[Fault, tuple[str, str]] = {
    Fault.LIMIT: ("RATE_LIMIT_EXCEEDED", "You have reached your daily limit."),
    Fault.REFUSED: ("CONTENT_POLICY", "This cannot be answered."),
}
"""`error_code` and `text` of a last message whose status is FAILED."""

_NOTHING = frozenset({Fault.BLOCKED, Fault.DONE_ONLY, Fault.DATA_NULL, Fault.LIST_INDEX})


@dataclass(frozen=True)
class Planner:
    """Plans the response to one call. *account* is said back as `account_used`."""

    streams: bool
    answer_only: bool
    account: str
    pace: float

    def proxied(self, directive: Directive) -> Plan | None:
        """What a proxy says instead of the wrapper, if the directive wants one."""
        if directive.fail not in _PROXY:
            return None
        status, kind, body = _PROXY[directive.fail]
        headers = {"retry-after": directive.retry_after} if directive.retry_after else {}
        return Plan([Piece(body.encode())], status=status, content_type=f"{kind}; charset=utf-8", headers=headers)

    def unanswered(self, directive: Directive) -> Plan | None:
        """The failures without an answer: error texts, and an upstream that said nothing."""
        fault = directive.fail
        if fault is Fault.EXPECTING_VALUE and not self.streams:
            return None  # as with some models: only async fails
        if fault in _MARKED:
            return self._marked(fault)
        if fault in _NOTHING and (self.streams or fault is not Fault.LIST_INDEX):
            return self._nothing(fault)
        return self.error(directive.error or _ERRORS[fault]) if fault in _ERRORS else None

    def error(self, text: str) -> Plan:
        if self.streams:
            return stream_plan([Piece(frame({"type": "error", "error": text, "account_used": self.account}))])
        return json_plan({"error": text, "account_used": self.account}, status=500)

    def answered(self, messages: list[Timed], directive: Directive) -> Plan:
        """The answer, and what may happen to it on its way."""
        timed = self._in_real_time(messages, directive)
        if self.streams:
            return _broken(stream_plan(self._frames(timed, directive)), directive)
        body = self._body(timed, directive)
        return _broken(json_plan(body, delay=timed[-1].at), directive)

    def _marked(self, fault: Fault) -> Plan:
        """Upstream's last message, which says that there is no answer. With answer_only nothing is left of it."""
        if self.answer_only:
            return self._nothing(Fault.BLOCKED)
        message = refused_message(*_MARKED[fault])
        if not self.streams:
            return json_plan({**message, "account_used": self.account})
        return stream_plan([Piece(self._content(message)), Piece(self._done())])

    def _nothing(self, fault: Fault) -> Plan:
        if self.streams:
            return stream_plan([Piece(self._done())])
        if fault is Fault.DATA_NULL or not self.answer_only:
            return json_plan({"data": None, "account_used": self.account})
        return self.error("'NoneType' object has no attribute 'get'")

    def _in_real_time(self, messages: list[Timed], directive: Directive) -> list[Timed]:
        pace = self.pace if directive.pace is None else directive.pace
        if directive.slow is not None:
            pace = directive.slow / messages[-1].at
        silence = directive.seconds if directive.fail is Fault.SILENT else 0.0
        return [Timed(silence + pace * timed.at, timed.message) for timed in messages]

    def _frames(self, timed: list[Timed], directive: Directive) -> list[Piece]:
        if directive.fail is Fault.IN_PROGRESS_ONLY:
            timed = timed[:-1]
        contents: list[tuple[float, dict[str, Any] | None]]
        contents = [(one.at, content) for one in timed for content in self._contents(one.message, directive)]
        contents.append((timed[-1].at, None))
        pieces, now = [], 0.0
        for at, content in contents:
            data = self._done() if content is None else self._content(content)
            pieces.append(Piece(data, at - now, shows_text=b'"ask_text"' in data or b'"IN_PROGRESS", "answer"' in data))
            now = at
        return pieces

    def _contents(self, message: dict[str, Any], directive: Directive) -> list[dict[str, Any]]:
        """What the wrapper makes of one message: itself, or with answer_only the answer in it, if there is one."""
        if directive.fail is Fault.ANSWER_NULL:
            message = _with_null_answer(message)
        if not self.answer_only:
            return [message]
        short = _short(message)
        return [] if short["answer"] is None else [short]

    def _body(self, timed: list[Timed], directive: Directive) -> dict[str, Any]:
        message = timed[-2 if directive.fail is Fault.IN_PROGRESS_ONLY else -1].message
        if directive.fail is Fault.ANSWER_NULL:
            message = _with_null_answer(message)
        if self.answer_only:
            short = _short(message)
            if directive.fail is Fault.IN_PROGRESS_ONLY:
                short = {**short, "progress": "IN_PROGRESS", "answer": "only a last piece"}
            return {**short, "account_used": self.account}
        return {**message, "account_used": self.account}

    def _content(self, content: dict[str, Any]) -> bytes:
        return frame({"type": "content", "content": content, "done": False, "account_used": self.account})

    def _done(self) -> bytes:
        return frame({"type": "content", "content": "", "done": True, "account_used": self.account})


def _broken(plan: Plan, directive: Directive) -> Plan:
    """*plan* as it is, or only its beginning: cut off, ended too early, or stalled and then cut off."""
    if directive.fail not in (Fault.CUT, Fault.CUT_CLEAN, Fault.STALL):
        return plan
    pieces = _beginning(plan.pieces, directive.after)
    if directive.fail is Fault.STALL:
        pieces.append(Piece(b"", directive.seconds))
    return replace(plan, pieces=pieces, broken_off=directive.fail is not Fault.CUT_CLEAN)


def _beginning(pieces: list[Piece], fraction: float) -> list[Piece]:
    """What comes before the text and *fraction* of its frames; of a body in one piece, of its bytes. Never all."""
    if len(pieces) == 1:
        whole = pieces[0]
        return [Piece(whole.data[: min(int(len(whole.data) * fraction), len(whole.data) - 1)], whole.delay)]
    text = [n for n, piece in enumerate(pieces[:-2]) if piece.shows_text]
    return pieces[: text[0] + int(len(text) * fraction)] if text else pieces[:-2]


def _short(message: dict[str, Any]) -> dict[str, Any]:
    """The wrapper's `answer_only` view of a message: only a whole block counts, a diff_block is not looked into."""
    for block in message["blocks"]:
        text = block.get("markdown_block") if block["intended_usage"] == "ask_text" else None
        if text and text["progress"] == "IN_PROGRESS":
            return {
                "progress": "IN_PROGRESS",
                "answer": "".join(text["chunks"]),
                "backend_uuid": message["backend_uuid"],
            }
        if text and text["answer"] is not None:
            return {"progress": "DONE", "answer": text["answer"], "backend_uuid": message["backend_uuid"]}
    return {"answer": None, "backend_uuid": message["backend_uuid"]}


def _with_null_answer(message: dict[str, Any]) -> dict[str, Any]:
    if message["status"] != "COMPLETED":
        return message
    blocks = [
        {**block, "markdown_block": {**block["markdown_block"], "answer": None, "chunks": []}}
        if "markdown_block" in block
        else block
        for block in message["blocks"]
    ]
    return {**message, "blocks": blocks, "text": []}
