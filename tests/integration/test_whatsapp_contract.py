"""What every adapter of the port promises, the double included; the real ones talk to stand-ins over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from integrations.whatsapp.double import RecordingWhatsApp
from integrations.whatsapp.failures import FailureKind, MediaFailed, MediaProblem, SendFailed
from integrations.whatsapp.port import Choice, MediaRef, Recipient, SendRequest, Template, WhatsApp
from integrations.whatsapp.standin.chats import StoredFile
from integrations.whatsapp.standin.switches import Switches
from integrations.whatsapp.standin.twilio import ACCOUNT_SID
from tests.whatsapp_servers import TWILIO_NUMBER, meta_side, twilio_side

PNG = b"\x89PNG\r\n\x1a\n pixels"
PHONE = "15550001111"


@dataclass
class Subject:
    """An adapter, how to see what it sent, how to keep a file for it, and how to make its next send fail."""

    adapter: WhatsApp
    account: str
    texts: Callable[[], list[str]]
    keep: Callable[[bytes, str], MediaRef]
    fail: Callable[[FailureKind], None]

    def request(self, delivery_id: str = "d-1") -> SendRequest:
        return SendRequest(account=self.account, recipient=Recipient(phone=PHONE), delivery_id=delivery_id)


_SWITCHES = {
    FailureKind.TRANSIENT: Switches(fail_before=1),
    FailureKind.RATE_LIMITED: Switches(rate_limited=1),
    FailureKind.OUTSIDE_WINDOW: Switches(outside_window=True),
    FailureKind.UNKNOWN: Switches(execute_then_drop=1),
}


def _text(body: dict[str, object]) -> str:
    part = body.get(str(body["type"]))
    assert isinstance(part, dict)
    inner = part.get("body")
    return str(inner["text"] if isinstance(inner, dict) else inner or part.get("name"))


@pytest.fixture(params=["meta", "twilio", "double"])
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    if request.param == "meta":
        async with meta_side() as meta:

            def keep(content: bytes, kind: str) -> MediaRef:
                meta.graph.chats.files["777"] = StoredFile(mime_type=kind, content=content)
                return MediaRef(id="777")

            def fail(kind: FailureKind) -> None:
                meta.graph.switches = _SWITCHES[kind]

            yield Subject(meta.adapter, meta.account, lambda: [_text(each) for each in meta.graph.posted], keep, fail)
    elif request.param == "twilio":
        async with twilio_side() as side:

            def keep_at_twilio(content: bytes, kind: str) -> MediaRef:
                side.service.files["ME1"] = (kind, content)
                url = f"{side.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/ME1"
                return MediaRef(id=url, mime_type=kind)

            def fail_at_twilio(kind: FailureKind) -> None:
                side.service.switches = _SWITCHES[kind]

            def texts() -> list[str]:
                return [each.get("Body") or each["ContentSid"] for each in side.service.posted]

            yield Subject(side.adapter, side.account, texts, keep_at_twilio, fail_at_twilio)
    else:
        yield _double()


def _double() -> Subject:
    adapter = RecordingWhatsApp()

    def keep(content: bytes, kind: str) -> MediaRef:
        adapter.keep_file("777", content, kind)
        return MediaRef(id="777", mime_type=kind)

    def texts() -> list[str]:
        return [each.text or (each.template.name if each.template else "") for each in adapter.sent]

    def fail(kind: FailureKind) -> None:
        adapter.failures.append(SendFailed(kind, "as told"))

    return Subject(adapter, TWILIO_NUMBER, texts, keep, fail)


async def test_texts_arrive_as_they_are_and_get_ids_of_their_own(subject: Subject) -> None:
    words = ["Grüße 😀\n*bold*", "two"]

    sent = [await subject.adapter.send_text(subject.request(f"d-{n}"), each) for n, each in enumerate(words)]

    assert subject.texts() == words
    assert len({each.channel_message_id for each in sent}) == 2


async def test_buttons_carry_their_text(subject: Subject) -> None:
    choices = (Choice(id="yes", title="Yes"), Choice(id="no", title="No"))

    await subject.adapter.send_buttons(subject.request(), "Shall I?", choices)

    assert subject.texts()[0].startswith("Shall I?")


async def test_a_template_goes_out_by_name(subject: Subject) -> None:
    await subject.adapter.send_template(subject.request(), Template(name="hello", values=("Ann", "3 pm")))

    assert subject.texts() == ["hello"]


async def test_a_text_of_the_longest_length_goes_out_and_a_longer_one_does_not(subject: Subject) -> None:
    most = subject.adapter.limits.text_units

    await subject.adapter.send_text(subject.request(), "x" * most)
    with pytest.raises(SendFailed) as failed:
        await subject.adapter.send_text(subject.request(), "x" * (most + 1))

    assert failed.value.kind is FailureKind.OURS
    assert len(subject.texts()) == 1


@pytest.mark.parametrize("count", [0, 4])
async def test_too_few_or_too_many_buttons_are_refused(subject: Subject, count: int) -> None:
    choices = tuple(Choice(id=str(n), title=f"Choice {n}") for n in range(count))

    with pytest.raises(SendFailed) as failed:
        await subject.adapter.send_buttons(subject.request(), "Which?", choices)

    assert failed.value.kind is FailureKind.OURS
    assert subject.texts() == []


@pytest.mark.parametrize("kind", [FailureKind.TRANSIENT, FailureKind.RATE_LIMITED, FailureKind.OUTSIDE_WINDOW])
async def test_what_is_certainly_refused_was_not_sent(subject: Subject, kind: FailureKind) -> None:
    subject.fail(kind)

    with pytest.raises(SendFailed) as failed:
        await subject.adapter.send_text(subject.request(), "Hello")

    assert failed.value.kind is kind
    assert failed.value.policy.certain
    assert subject.texts() == []


async def test_a_connection_that_drops_after_the_send_leaves_it_unknown(subject: Subject) -> None:
    subject.fail(FailureKind.UNKNOWN)

    with pytest.raises(SendFailed) as failed:
        await subject.adapter.send_text(subject.request(), "Hello")

    assert failed.value.kind is FailureKind.UNKNOWN
    assert not failed.value.policy.retried
    assert subject.texts() == ["Hello"]


async def test_a_file_is_downloaded_whole(subject: Subject) -> None:
    media = subject.keep(PNG, "image/png")

    info = await subject.adapter.media_info(subject.account, media)
    file = await subject.adapter.download(subject.account, media)

    assert (info.mime_type, file.mime_type, file.content) == ("image/png", "image/png", PNG)


async def test_a_file_that_is_gone_is_told(subject: Subject) -> None:
    media = subject.keep(PNG, "image/png")
    gone = media.model_copy(update={"id": media.id[:-1] + "8"})

    with pytest.raises(MediaFailed) as failed:
        await subject.adapter.download(subject.account, gone)

    assert failed.value.problem is MediaProblem.EXPIRED
