"""The vendors' error codes lead to the right row of the table."""

from __future__ import annotations

import pytest

from integrations.channels.failures import SEND_FAILURES, SendFailed, SendFailureKind
from integrations.whatsapp.meta import errors as meta
from integrations.whatsapp.twilio import errors as twilio
from schemas.failures import Certainty

TRANSIENT, RATE, PAIR, WINDOW, FINAL, OURS, UNKNOWN = SendFailureKind


def test_every_kind_has_a_policy() -> None:
    assert set(SEND_FAILURES) == set(SendFailureKind)
    assert [kind for kind, policy in SEND_FAILURES.items() if policy.certainty is Certainty.UNKNOWN] == [UNKNOWN]
    assert {kind for kind, policy in SEND_FAILURES.items() if policy.retried} == {TRANSIENT, RATE, PAIR}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        *((400, code, RATE) for code in (4, 80007, 130429, 131048)),
        *((500, code, TRANSIENT) for code in (1, 2, 131000, 131016, 131057)),
        (400, 131056, PAIR),
        (400, 131047, WINDOW),
        *((400, code, FINAL) for code in (131026, 131021, 131030, 130472, 131049, 131050)),
        *((400, code, OURS) for code in (0, 3, 10, 100, 190, 200, 299, 368, 131008, 131009, 131031, 131042)),
        *((400, code, OURS) for code in (131051, 131053, 132000, 132016, 133010)),
        (401, None, OURS),
        (404, None, OURS),
        (400, 999_999, OURS),
        (429, None, RATE),
        (500, None, UNKNOWN),
        (502, None, UNKNOWN),
        (503, 999_999, TRANSIENT),
        (408, None, UNKNOWN),
        (302, None, OURS),
    ],
)
def test_graph_errors_are_told_apart(status: int, code: int | None, kind: SendFailureKind) -> None:
    error = meta.failure(status, {"error": {"code": code, "message": "m"}} if code is not None else None, 3.0)

    assert (error.kind, error.code, error.retry_after) == (kind, code, 3.0)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, 20429, RATE),
        (400, 63018, RATE),
        (400, 63016, WINDOW),
        (400, 63024, FINAL),
        (400, 21211, FINAL),
        (401, 20003, OURS),
        (400, 21617, OURS),
        (503, 20503, TRANSIENT),
        (500, None, UNKNOWN),
        (400, None, OURS),
    ],
)
def test_twilio_errors_are_told_apart(status: int, code: int | None, kind: SendFailureKind) -> None:
    error = twilio.failure(status, {"code": code, "message": "m"}, None)

    assert (error.kind, error.code) == (kind, code)


@pytest.mark.parametrize("body", [None, [], "html", {"error": None}, {"error": {"code": {}}}, {"error": []}])
def test_an_answer_of_any_shape_is_a_failure(body: object) -> None:
    assert isinstance(meta.failure(500, body, None), SendFailed)
    assert twilio.failure(500, body, None).kind is UNKNOWN


def test_an_explanation_is_one_harmless_line() -> None:
    body = {"error": {"code": 100, "message": "bad\r\nforged \x1b[31mline\x00", "fbtrace_id": "T1"}}

    error = meta.failure(400, body, None)

    assert error.explanation == "HTTP 400, code 100, bad forged [31mline, T1"


def test_a_token_that_is_quoted_is_hidden() -> None:
    """Explanations are logged, kept and shown."""
    token = "EAAB" + "x1Y_" * 20
    error = {"message": f"Malformed access token {token}", "code": 190, "fbtrace_id": "A1b2C3d4E5f6G7h8"}

    told = str(meta.failure(401, {"error": error}, None))

    assert token[:32] not in told
    assert "Malformed access token [hidden], A1b2C3d4E5f6G7h8" in told
