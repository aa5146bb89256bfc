"""The outside, scripted: the model, the services, the channel and Temporal, which do what the example says.

Each remembers what really happened, which is what the ledger is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from integrations.channels.failures import MediaFailed, MediaFailureKind, SendFailed
from integrations.channels.failures import SendFailureKind as SendKind
from integrations.channels.port import Choice, MediaFile, MediaRef, Sent, Template
from integrations.endpoints.port import CallFailureKind, EndpointFailed, EndpointResult
from integrations.perplexity.double import ScriptedPerplexity, words
from integrations.perplexity.port import Answer, AskFailed, ModelPrompt, OnText
from integrations.whatsapp.double import Posted, RecordingWhatsApp
from integrations.whatsapp.port import SendRequest
from schemas.actions import Endpoint
from schemas.conversations import ApprovalDecision, MessageStored
from schemas.failures import ModelFailureKind
from tests.model.names import Name
from tests.model.stops import ACTOR, Place, Stops
from tests.support.shop import output

_NAMES = UUID("5a4b1b0e-3a57-4c59-9d0a-0d6f1d3f3b11")


class ModelSays(Name):
    """What the model says, or how it fails."""

    TEXT = "text"
    INVALID = "invalid"
    HANDOFF = "handoff"
    TICKET = "ticket"
    TICKET_STATUS = "ticket status"
    LOOK_UP = "look up"
    BOOK = "book"
    PAY = "pay"
    CANCEL_ORDER = "cancel order"
    CLOSE = "close"
    FAILS = "fails"
    CUT = "cut"
    ACCOUNT = "account"


class Served(Name):
    """What a service does."""

    DONE = "done"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    DONE_UNKNOWN = "done, unknown"
    NOT_DONE_UNKNOWN = "not done, unknown"


class Taken(Name):
    """What the channel does with a part."""

    TAKEN = "taken"
    TAKEN_UNKNOWN = "taken, unknown"
    LOST_UNKNOWN = "lost, unknown"
    BUSY = "busy"
    FINAL = "final"


OUTPUTS: dict[ModelSays, str] = {
    ModelSays.INVALID: output("create_ticket"),
    ModelSays.HANDOFF: output("handoff_support"),
    ModelSays.TICKET: output("create_ticket", subject="Lamp", description="Broken lamp"),
    ModelSays.TICKET_STATUS: output("ticket_status"),
    ModelSays.LOOK_UP: output("api_call", endpoint="look_up", params={}),
    ModelSays.BOOK: output("api_call", endpoint="book", params={}),
    ModelSays.PAY: output("api_call", endpoint="pay", params={}),
    ModelSays.CANCEL_ORDER: output("api_call", endpoint="cancel_order", params={}),
    ModelSays.CLOSE: output("close_conversation"),
}
FAILURES: dict[ModelSays, ModelFailureKind] = {
    ModelSays.FAILS: ModelFailureKind.UPSTREAM,
    ModelSays.CUT: ModelFailureKind.CUT,
    ModelSays.ACCOUNT: ModelFailureKind.ACCOUNT,
}


@dataclass(frozen=True)
class AskedPrompt:
    """A question as it was put for conversation *of* (its letter), and what the model answered. *lost*: it failed, for
    upstream has forgotten its thread."""

    question: ModelPrompt
    said: ModelSays
    of: str
    backend_uuid: str | None = None
    lost: bool = False

    @property
    def words(self) -> str:
        return words(self.question)


class ModelPerplexity(ScriptedPerplexity):
    def __init__(self, stops: Stops) -> None:
        super().__init__()
        self._stops = stops
        self.asked: list[AskedPrompt] = []
        self.forgotten: set[str] = set()
        """Threads that upstream knows no more."""
        self.adds = ""
        """To each plain answer."""
        self.unsure = False
        """Upstream could not say of a thread whether it knows it."""

    async def ask(self, question: ModelPrompt, on_text: OnText | None = None) -> Answer:
        said = await self._stops.at(Place.ASK, "the model", question) or ModelSays.TEXT
        number, actor = len(self.asked) + 1, ACTOR.get()
        of = actor.name[0] if actor else ""
        lost = question.backend_uuid is not None and question.frontend_context_uuid in self.forgotten
        if lost and said not in FAILURES:
            said = ModelSays.FAILS
        if said in FAILURES:
            self.asked.append(AskedPrompt(question, said, of, lost=lost and said is ModelSays.FAILS))
            await self._stops.at(Place.ANSWER, f"{said}")
            raise AskFailed(FAILURES[said], "as the example says")
        answer = Answer(
            text=OUTPUTS.get(said, f"Answer {number}.{self.adds}"),
            backend_uuid=str(uuid5(_NAMES, f"answer {number}")),
            frontend_context_uuid=question.frontend_context_uuid,
            thread_url_slug=slug_of(question.frontend_context_uuid),
        )
        self.asked.append(AskedPrompt(question, said, of, answer.backend_uuid))
        await self._stops.at(Place.ANSWER, f"{said}")
        return answer

    def forget(self) -> bool:
        """All threads that it has answered in, as where the wrapper's account is another. False if there are none."""
        known = {each.question.frontend_context_uuid for each in self.asked if each.backend_uuid}
        self.forgotten |= known
        return bool(known)

    async def has_thread(self, account_name: str, slug: str) -> bool | None:
        served = await self._stops.at(Place.LOOK_UP, "the thread", slug) or Served.DONE
        if served is not Served.DONE:
            self.unsure = True
            return None
        return slug not in {slug_of(each) for each in self.forgotten}


def slug_of(frontend_context_uuid: str) -> str:
    return f"thread-{frontend_context_uuid[:8]}"


@dataclass(frozen=True)
class Call:
    """A call that reached a service. `done`: it did what was asked, for the first time under its key. `late`: it is an
    action's first, begun after a person had taken the conversation."""

    endpoint: str
    key: str
    done: bool
    late: bool


@dataclass
class ModelEndpoints:
    """Services: those that honour a key do one thing once for it."""

    stops: Stops
    is_begun_late: Callable[[str], Awaitable[bool]]
    calls: list[Call] = field(default_factory=list)

    async def call(self, endpoint: Endpoint, params: dict[str, Any], key: str | None) -> EndpointResult:
        assert key is not None
        late = await self.is_begun_late(key)
        served = await self.stops.at(Place.CALL, endpoint.name) or Served.DONE
        does = served in {Served.DONE, Served.DONE_UNKNOWN}
        known = endpoint.honours_idempotency_key and any(each.key == key and each.done for each in self.calls)
        self.calls.append(Call(endpoint.name, key, does and not known, late))
        await self.stops.at(Place.RESULT, endpoint.name)
        if served is Served.DONE:
            return EndpointResult(status=200, body=json.dumps({"call": len(self.calls)}))
        raise EndpointFailed(_PROBLEMS[served], "as the example says")

    async def close(self) -> None:
        return None


_PROBLEMS = {
    Served.REFUSED: CallFailureKind.FAILED,
    Served.NOT_SENT: CallFailureKind.NOT_SENT,
    Served.DONE_UNKNOWN: CallFailureKind.UNKNOWN,
    Served.NOT_DONE_UNKNOWN: CallFailureKind.UNKNOWN,
}


@dataclass(frozen=True)
class Begun:
    """A part whose request began. `too_late`: the bot's words, and a person had the conversation then, who had taken
    it, or got it by a merge, before this was claimed, or longer before than a claimed part may take to begin. `astray`:
    what was said to one left for another, who has their number by now or had it; it was claimed since."""

    delivery_id: str
    text: str
    too_late: bool
    astray: bool
    taken: Taken


class ModelWhatsApp(RecordingWhatsApp):
    """*is_too_late*: of the part with that delivery id, as of this moment; *is_astray*: to that number (`Begun`)."""

    def __init__(
        self,
        stops: Stops,
        is_too_late: Callable[[str], Awaitable[bool]],
        is_astray: Callable[[str, str | None], Awaitable[bool]],
    ) -> None:
        super().__init__()
        self._stops = stops
        self._is_too_late = is_too_late
        self._is_astray = is_astray
        self.begun: list[Begun] = []

    async def send_text(self, request: SendRequest, text: str) -> Sent:
        return await self._sent(request, text)

    async def send_buttons(self, request: SendRequest, text: str, choices: tuple[Choice, ...]) -> Sent:
        return await self._sent(request, text, choices=choices)

    async def send_template(self, request: SendRequest, template: Template) -> Sent:
        return await self._sent(request, f"[{template.name}]", template=template)

    async def download(self, account: str, media: MediaRef) -> MediaFile:
        served = await self._stops.at(Place.FETCH, "a file", media) or Served.DONE
        if served is not Served.DONE:
            raise MediaFailed(_MEDIA_PROBLEMS[served], "as the example says")
        return await super().download(account, media)

    async def _sent(self, request: SendRequest, text: str, **more: Any) -> Sent:
        too_late = await self._is_too_late(request.delivery_id)
        astray = await self._is_astray(request.delivery_id, request.recipient.phone)
        taken = await self._stops.at(Place.SEND, "the channel", request) or Taken.TAKEN
        self.begun.append(Begun(request.delivery_id, text, too_late, astray, taken))
        if taken in {Taken.TAKEN, Taken.TAKEN_UNKNOWN}:
            self.sent.append(Posted(request, f"wamid.{len(self.sent) + 1}", text, **more))
        mine = f"wamid.{len(self.sent)}"
        await self._stops.at(Place.TAKEN, f"{taken}")
        if taken is Taken.TAKEN:
            return Sent(channel_message_id=mine)
        raise SendFailed(_SEND_KINDS[taken], "as the example says")


_MEDIA_PROBLEMS = {
    Served.REFUSED: MediaFailureKind.TYPE_REFUSED,
    Served.NOT_SENT: MediaFailureKind.TRANSIENT,
    Served.DONE_UNKNOWN: MediaFailureKind.EXPIRED,
    Served.NOT_DONE_UNKNOWN: MediaFailureKind.TRANSIENT,
}

_SEND_KINDS = {
    Taken.TAKEN_UNKNOWN: SendKind.UNKNOWN,
    Taken.LOST_UNKNOWN: SendKind.UNKNOWN,
    Taken.BUSY: SendKind.TRANSIENT,
    Taken.FINAL: SendKind.RECIPIENT_FINAL,
}


@dataclass
class ModelTemporal:
    """In the place of Temporal's client: hands each signal to the conversation's driver."""

    signalled: Callable[[str, str, int, bool], None]
    decided: Callable[[str, ApprovalDecision], None]
    changed: Callable[[str], None]

    async def start_workflow(
        self, _type: str, _start: object, *, id: str, start_signal: str, start_signal_args: list[Any], **_: object
    ) -> None:
        told = next((each for each in start_signal_args if isinstance(each, MessageStored)), MessageStored(seq=0))
        self.signalled(id, start_signal, told.seq, told.files)

    async def start_update_with_start_workflow(
        self, _name: str, decision: ApprovalDecision, *, start_workflow_operation: Any, **_: object
    ) -> None:
        self.decided(start_workflow_operation._start_workflow_input.id, decision)

    def get_workflow_handle(self, workflow_id: str) -> ModelHandle:
        return ModelHandle(workflow_id, self.changed)


@dataclass(frozen=True)
class ModelHandle:
    workflow_id: str
    changed: Callable[[str], None]

    async def signal(self, _name: str, **_: object) -> None:
        """That somebody changed its standing; one that does not run reads it with its next start."""
        self.changed(self.workflow_id)
