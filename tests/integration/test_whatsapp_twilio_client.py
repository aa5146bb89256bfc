"""The adapter of Twilio on sockets: what it posts, and what comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from integrations.channels.failures import MediaFailed, MediaFailureKind, SendFailed, SendFailureKind
from integrations.channels.port import Choice, MediaRef, Recipient, Template
from integrations.whatsapp.incoming import DeliveryStatus, StatusUpdate
from integrations.whatsapp.port import SendRequest
from integrations.whatsapp.standin.switches import Switches
from integrations.whatsapp.twilio.signature import HEADER, is_valid, read_form
from integrations.whatsapp.twilio.webhook import parse_webhook
from tests.support.clock import now
from tests.twilio_standin import ACCOUNT_SID, AUTH_TOKEN
from tests.whatsapp_servers import TWILIO_NUMBER, TwilioSide, twilio_side

REQUEST = SendRequest(account=TWILIO_NUMBER, recipient=Recipient(phone="15550001111"), delivery_id="d/1 &")


@pytest.fixture
async def side() -> AsyncIterator[TwilioSide]:
    async with twilio_side() as side:
        yield side


def statuses(side: TwilioSide) -> list[StatusUpdate]:
    """The statuses that came, after their signatures were checked."""
    found = []
    for each in side.receiver.got:
        form = read_form(each.body) or []
        assert is_valid(AUTH_TOKEN, each.url, form, each.headers[HEADER.lower()])
        query = dict(parse_qsl(urlsplit(each.url).query))
        found += parse_webhook(form, query, now()).statuses
    return found


async def test_a_text_as_twilio_wants_it(side: TwilioSide) -> None:
    sent = await side.adapter.send_text(REQUEST, "Hello")

    (posted,) = side.service.posted
    assert posted["sid"] == sent.channel_message_id
    assert (posted["To"], posted["From"]) == ("whatsapp:+15550001111", f"whatsapp:+{TWILIO_NUMBER}")
    assert posted["Body"] == "Hello"


async def test_statuses_come_back_signed_with_our_delivery_id(side: TwilioSide) -> None:
    await side.adapter.send_text(REQUEST, "Hello")
    await side.service.postman.idle()

    found = statuses(side)
    assert [each.status for each in found] == [DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.READ]
    assert {each.delivery_id for each in found} == {"d/1 &"}


async def test_a_failed_delivery_is_reported(side: TwilioSide) -> None:
    side.service.switches = Switches(failed_delivery=1, failed_code=63016)

    await side.adapter.send_text(REQUEST, "Hello")
    await side.service.postman.idle()

    assert (statuses(side)[-1].status, statuses(side)[-1].errors[0].code) == (DeliveryStatus.FAILED, 63016)


async def test_choices_are_written_below_the_text(side: TwilioSide) -> None:
    await side.adapter.send_buttons(REQUEST, "Shall I?", (Choice(id="y", title="Yes"), Choice(id="n", title="No")))

    assert side.service.posted[0]["Body"] == "Shall I?\n\n- Yes\n- No"


async def test_a_template_by_its_sid(side: TwilioSide) -> None:
    side.service.switches = Switches(outside_window=True)

    await side.adapter.send_template(REQUEST, Template(name="HX1", values=("Ann", "3 pm")))

    assert side.service.posted[0]["ContentSid"] == "HX1"
    assert side.service.posted[0]["ContentVariables"] == '{"1": "Ann", "2": "3 pm"}'


async def test_a_customer_without_a_number(side: TwilioSide) -> None:
    recipient = Recipient(user_id="US.13491208655302741918")

    await side.adapter.send_text(REQUEST.model_copy(update={"recipient": recipient}), "Hello")

    assert side.service.posted[0]["To"] == "whatsapp:US.13491208655302741918"


async def test_a_wrong_login_is_ours() -> None:
    async with twilio_side(twilio_auth_token="wrong-secret") as side:
        with pytest.raises(SendFailed) as failed:
            await side.adapter.send_text(REQUEST, "Hello")

    assert (failed.value.kind, failed.value.code) == (SendFailureKind.OURS, 20003)


@pytest.mark.parametrize("url", ["https://evil.example/x", "http://127.0.0.1:1/x", "file:///etc/passwd", "nothing"])
async def test_files_come_from_twilio_only(side: TwilioSide, url: str) -> None:
    with pytest.raises(MediaFailed) as failed:
        await side.adapter.download(TWILIO_NUMBER, MediaRef(id=url, mime_type="image/png"))

    assert failed.value.problem is MediaFailureKind.HOST_REFUSED


async def test_a_page_in_the_place_of_a_picture_is_refused(side: TwilioSide) -> None:
    side.service.files["ME1"] = ("image/png", b"<html><script>")
    url = f"{side.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/MM1/Media/ME1"

    with pytest.raises(MediaFailed) as failed:
        await side.adapter.download(TWILIO_NUMBER, MediaRef(id=url, mime_type="image/png"))

    assert failed.value.problem is MediaFailureKind.TYPE_REFUSED
