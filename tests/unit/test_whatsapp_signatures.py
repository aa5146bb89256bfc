"""Only what Meta or Twilio signed gets in; the oracle for Twilio is its own library."""

from __future__ import annotations

import gzip
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from integrations.whatsapp.meta import signature as meta
from integrations.whatsapp.twilio import signature as twilio

SECRET = "app-secret"
BODY = b'{"text":"caf\\u00e9 \\ud83d\\ude00"}'
GOOD = meta.sign(SECRET, BODY)
URL = "https://shop.example/api/webhooks/twilio"
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_metas_own_signature_is_accepted() -> None:
    assert meta.is_valid(SECRET, BODY, GOOD)
    # The published example of HMAC-SHA256.
    assert meta.sign("key", b"The quick brown fox jumps over the lazy dog") == (
        "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        GOOD.removeprefix("sha256="),
        GOOD.replace("sha256=", "sha1="),
        GOOD.upper(),
        "sha256=" + GOOD.removeprefix("sha256=").upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        " " + GOOD,
        GOOD[:-1] + "g",
        GOOD[:-1] + "é",
        "sha256=" + "0" * 64,
        f"{GOOD}, {GOOD}",
    ],
)
def test_every_other_form_of_the_header_is_refused(header: str | None) -> None:
    assert not meta.is_valid(SECRET, BODY, header)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        json.dumps(json.loads(BODY), ensure_ascii=False).encode(),
        BODY + b" ",
        BODY + b"\n",
        gzip.compress(BODY, mtime=0),  # the same in every worker of pytest-xdist: it becomes the test's name
    ],
)
def test_a_signature_counts_for_its_own_bytes_only(body: bytes) -> None:
    assert not meta.is_valid(SECRET, body, GOOD)


@pytest.mark.parametrize("secret", ["another-secret", "app-secret ", "APP-SECRET", ""])
def test_another_secret_or_none_opens_nothing(secret: str) -> None:
    assert not meta.is_valid(secret, BODY, GOOD)


def test_nothing_is_signed_with_an_empty_secret() -> None:
    with pytest.raises(ValueError, match="app secret"):
        meta.sign("", BODY)
    with pytest.raises(ValueError, match="auth token"):
        twilio.sign("", URL, [])


def test_the_challenge_is_answered_to_who_knows_the_token() -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "tökén", "hub.challenge": "1158201444"}

    assert meta.answer_challenge(query, "tökén") == "1158201444"
    assert meta.answer_challenge(query, "other") is None
    assert meta.answer_challenge(query, "") is None
    assert meta.answer_challenge(query | {"hub.verify_token": ""}, "") is None
    assert meta.answer_challenge(query | {"hub.mode": "unsubscribe"}, "tökén") is None
    assert meta.answer_challenge(query | {"hub.challenge": ""}, "tökén") is None
    assert meta.answer_challenge({}, "tökén") is None


@given(st.dictionaries(text, text, max_size=5))
def test_twilio_is_signed_as_its_own_library_does(fields: dict[str, str]) -> None:
    ours = twilio.sign("token", URL, fields.items())

    assert ours == RequestValidator("token").compute_signature(URL, fields)


class Doubled(dict[str, list[str]]):
    """A form with doubled names, as Twilio's library takes it."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


@given(st.lists(st.tuples(st.sampled_from(["MediaUrl", "Body", "a", "A"]), text), max_size=6))
def test_doubled_parameters_are_signed_as_its_own_library_does(form: list[tuple[str, str]]) -> None:
    multi = Doubled()
    for name, value in form:
        multi.setdefault(name, []).append(value)

    header = twilio.sign("token", URL, form)

    assert RequestValidator("token").validate(URL, multi, header)
    assert twilio.is_valid("token", URL, list(reversed(form)), header)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hook",
        "https://shop.example:443/hook",
        "http://shop.example/hook?a=b",
        "http://shop.example:80/hook",
    ],
)
def test_the_default_port_may_be_written_or_not(url: str) -> None:
    form = [("Body", "hi")]
    without = url.replace(":443", "").replace(":80", "")

    assert RequestValidator("token").validate(url, dict(form), twilio.sign("token", without, form))
    assert twilio.is_valid("token", url, form, twilio.sign("token", without, form))


@pytest.mark.parametrize(
    ("signed_url", "signed_form"),
    [
        ("http://shop.example/api/webhooks/twilio", [("Body", "hi ")]),
        ("https://shop.example:8443/api/webhooks/twilio", [("Body", "hi ")]),
        ("https://other.example/api/webhooks/twilio", [("Body", "hi ")]),
        (URL + "/", [("Body", "hi ")]),
        (URL + "?a=1", [("Body", "hi ")]),
        (URL, [("Body", "hi")]),
        (URL, [("body", "hi ")]),
        (URL, [("Body", "hi "), ("Body", "ho")]),
        (URL, []),
    ],
)
def test_a_changed_address_or_form_is_refused(signed_url: str, signed_form: twilio.Form) -> None:
    header = twilio.sign("token", signed_url, signed_form)

    assert not twilio.is_valid("token", URL, [("Body", "hi ")], header)


@pytest.mark.parametrize(
    "change", [lambda good: None, lambda good: "", lambda good: good[:-2], lambda good: good + "="]
)
def test_a_malformed_twilio_signature_is_refused(change: object) -> None:
    assert callable(change)
    good = twilio.sign("token", URL, [])

    assert twilio.is_valid("token", URL, [], good)
    assert not twilio.is_valid("token", URL, [], change(good))
    assert not twilio.is_valid("other", URL, [], good)
    assert not twilio.is_valid("", URL, [], good)


@given(st.lists(st.tuples(text.filter(bool), text), min_size=1, max_size=6))
def test_a_form_is_read_as_it_was_written(form: twilio.Form) -> None:
    assert twilio.read_form(urlencode(form).encode()) == form


@pytest.mark.parametrize("body", [b"\xff\xfe", b"Body=%FF", b"no form at all", b'{"a": 1}', b"a=1&" * 1_001 + b"a=1"])
def test_what_is_no_form_is_told_apart(body: bytes) -> None:
    assert twilio.read_form(body) is None


def test_an_empty_form_is_a_form() -> None:
    assert twilio.read_form(b"") == []
