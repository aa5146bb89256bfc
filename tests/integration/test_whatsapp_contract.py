"""What every provider promises, the double included, and the channel over each of them.

The real ones talk to stand-ins over sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from integrations.channels.failures import MediaFailed, MediaFailureKind, SendFailed, SendFailureKind
from integrations.channels.port import (
    Channel,
    Choice,
    MediaRef,
    OutgoingPart,
    OutgoingReply,
    Recipient,
    Template,
)
from integrations.whatsapp.accounts import account_name
from integrations.whatsapp.channel import only
from integrations.whatsapp.double import RecordingWhatsApp
from integrations.whatsapp.port import SendRequest, WhatsAppProvider
from integrations.whatsapp.standin.chats import StoredFile
from integrations.whatsapp.standin.switches import Switches
from schemas.deliveries import PlannedPart
from schemas.failures import Certainty
from tests.support.clock import now
from tests.twilio_standin import ACCOUNT_SID
from tests.whatsapp_servers import TWILIO_NUMBER, meta_side, twilio_side

PNG = b"\x89PNG\r\n\x1a\n pixels"
PHONE = "15550001111"


@dataclass
class Subject:
    """An adapter, how to see what it sent, how to keep a file for it, and how to make its next send fail."""

    adapter: WhatsAppProvider
    account: str
    texts: Callable[[], list[str]]
    keep: Callable[[bytes, str], MediaRef]
    fail: Callable[[SendFailureKind], None]

    def request(self, delivery_id: str = "d-1") -> SendRequest:
        return SendRequest(account=self.account, recipient=Recipient(phone=PHONE), delivery_id=delivery_id)


_SWITCHES = {
    SendFailureKind.TRANSIENT: Switches(fail_before=1),
    SendFailureKind.RATE_LIMITED: Switches(rate_limited=1),
    SendFailureKind.OUTSIDE_WINDOW: Switches(outside_window=True),
    SendFailureKind.UNKNOWN: Switches(execute_then_drop=1),
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

            def fail(kind: SendFailureKind) -> None:
                meta.graph.switches = _SWITCHES[kind]

            yield Subject(meta.adapter, meta.account, lambda: [_text(each) for each in meta.graph.posted], keep, fail)
    elif request.param == "twilio":
        async with twilio_side() as side:

            def keep_at_twilio(content: bytes, kind: str) -> MediaRef:
                side.service.files["ME1"] = (kind, content)
                url = f"{side.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/ME1"
                return MediaRef(id=url, mime_type=kind)

            def fail_at_twilio(kind: SendFailureKind) -> None:
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

    def fail(kind: SendFailureKind) -> None:
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

    assert failed.value.kind is SendFailureKind.OURS
    assert len(subject.texts()) == 1


@pytest.mark.parametrize("count", [0, 4])
async def test_too_few_or_too_many_buttons_are_refused(subject: Subject, count: int) -> None:
    choices = tuple(Choice(id=str(n), title=f"Choice {n}") for n in range(count))

    with pytest.raises(SendFailed) as failed:
        await subject.adapter.send_buttons(subject.request(), "Which?", choices)

    assert failed.value.kind is SendFailureKind.OURS
    assert subject.texts() == []


@pytest.mark.parametrize(
    "kind", [SendFailureKind.TRANSIENT, SendFailureKind.RATE_LIMITED, SendFailureKind.OUTSIDE_WINDOW]
)
async def test_what_is_certainly_refused_was_not_sent(subject: Subject, kind: SendFailureKind) -> None:
    subject.fail(kind)

    with pytest.raises(SendFailed) as failed:
        await subject.adapter.send_text(subject.request(), "Hello")

    assert failed.value.kind is kind
    assert failed.value.policy.certainty is Certainty.FAILED
    assert subject.texts() == []


async def test_a_connection_that_drops_after_the_send_leaves_it_unknown(subject: Subject) -> None:
    subject.fail(SendFailureKind.UNKNOWN)

    with pytest.raises(SendFailed) as failed:
        await subject.adapter.send_text(subject.request(), "Hello")

    assert failed.value.kind is SendFailureKind.UNKNOWN
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

    assert failed.value.problem is MediaFailureKind.EXPIRED


# The channel, whoever carries it


def _channel(subject: Subject) -> Channel:
    return only(subject.adapter, "carrier")


def _account(subject: Subject) -> str:
    return account_name("carrier", subject.account)


def _out(subject: Subject, part: PlannedPart) -> OutgoingPart:
    name = f"d-{part.part}"
    return OutgoingPart(account=_account(subject), recipient=Recipient(phone=PHONE), delivery_id=name, part=part)


YES_NO = (Choice(id="y", title="Yes"), Choice(id="n", title="No"))


async def test_a_reply_is_planned_in_parts_that_all_go_out_in_order(subject: Subject) -> None:
    reply = OutgoingReply(text="\n\n".join(["**Many** words of it. " * 40] * 12))
    channel = _channel(subject)

    parts = channel.plan(_account(subject), reply)
    for part in parts:
        await channel.send(_out(subject, part))

    assert len(parts) > 1
    assert subject.texts() == [part.text for part in parts]
    assert channel.plan(_account(subject), reply) == parts
    assert "**" not in parts[0].text


async def test_choices_go_with_the_words_where_they_fit_and_after_them_where_not(subject: Subject) -> None:
    short = OutgoingReply(text="Shall I?", choices=YES_NO, choices_text="Yes or no?")
    long = short.model_copy(update={"text": "Many words of it. " * 100})
    channel = _channel(subject)

    one, several = (channel.plan(_account(subject), reply) for reply in (short, long))
    await channel.send(_out(subject, several[-1]))

    assert [(part.kind, part.text) for part in one] == [("buttons", "Shall I?")]
    assert {part.kind for part in several[:-1]} == {"text"}
    assert (several[-1].kind, several[-1].text) == ("buttons", "Yes or no?")
    assert subject.texts()[0].startswith("Yes or no?")


async def test_outside_the_window_only_a_template_may_go(subject: Subject) -> None:
    channel, wrote_at = _channel(subject), now()
    [text] = channel.plan(_account(subject), OutgoingReply(text="Hello"))
    [template] = channel.plan(_account(subject), OutgoingReply(text="", template=Template(name="hello")))

    allowed = {
        (part.kind, hours): channel.may_send(part, wrote_at, wrote_at + timedelta(hours=hours))
        for part in (text, template)
        for hours in (23, 25)
    }

    assert [name for name, is_allowed in allowed.items() if not is_allowed] == [("text", 25)]
    assert not channel.may_send(text, None, wrote_at)


async def test_an_account_that_nobody_carries_is_ours_to_repair(subject: Subject) -> None:
    channel, nobody = _channel(subject), account_name("nobody", "1")

    with pytest.raises(SendFailed) as failed:
        channel.plan(nobody, OutgoingReply(text="Hello"))
    with pytest.raises(MediaFailed) as not_fetched:
        await channel.download(nobody, MediaRef(id="777"))

    assert failed.value.kind is channel.failure_kind(nobody, 131000) is SendFailureKind.OURS
    assert not_fetched.value.problem is MediaFailureKind.OURS


async def test_the_channel_hands_on_what_a_send_and_a_download_come_to(subject: Subject) -> None:
    channel, media = _channel(subject), subject.keep(PNG, "image/png")
    [part] = channel.plan(_account(subject), OutgoingReply(text="Hello"))
    subject.fail(SendFailureKind.UNKNOWN)

    with pytest.raises(SendFailed) as failed:
        await channel.send(_out(subject, part))
    file = await channel.download(_account(subject), media)

    assert failed.value.kind is SendFailureKind.UNKNOWN
    assert channel.note(failed.value.kind).startswith("Nobody knows")
    assert file.content == PNG
