"""What must be true of a run, whatever met whatever: the promises, each with what breaks it, as text.

`at_each_moment` holds between any two statements, `at_the_end` once everybody has had the time to do what they must.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import Any
from uuid import UUID

from schemas.assistants import Texts
from schemas.deliveries import read_delivery_id
from tests.model import inside
from tests.model.configurations import STRANGER
from tests.model.outside import FAILURES, Taken
from tests.model.world import STEP_SECONDS, World

Row = dict[str, Any]
_TEXTS = Texts()
_DENIALS = {
    *(_TEXTS.trouble, _TEXTS.too_long, _TEXTS.unclear, _TEXTS.refused, _TEXTS.cancelled, _TEXTS.expired),
    *(_TEXTS.declined, _TEXTS.action_failed, _TEXTS.dropped),
}
"""Words that say, or let believe, that nothing was done."""


_SAME_MOMENT = timedelta(seconds=STEP_SECONDS / 2)
"""Nearer to each other than a step, two times tell no order: what comes just after a commit seems to be before it."""

_TELLS_ITSELF = frozenset({"withheld", "superseded", "erased"})
"""Why a part was not sent, where nobody has to be told."""


class Facts:
    """What the tables hold, read once."""

    def __init__(self, world: World) -> None:
        self.world = world
        look = world.look
        self.conversations = {row["id"]: row for row in look(inside.CONVERSATIONS)}
        self.turns = look(inside.TURNS)
        self.messages = look(inside.MESSAGES)
        self.outputs = look(inside.OUTPUTS)
        self.effects = look(inside.EFFECTS)
        self.deliveries = look(inside.DELIVERIES)
        self.threads = look(inside.THREADS)
        self.turn = {row["id"]: row for row in self.turns}
        self._read_as_they_were()

    def kept(self, row: Row) -> bool:
        """Whether its customer was not erased: of the others no words are left to judge."""
        return not self.conversations[row["conversation_id"]]["erased"]

    def _read_as_they_were(self) -> None:
        """What was taken back when a turn had taken it counts as it was written."""
        events = [row for row in self.messages if row["kind"] == "delete"]
        taken_back = {row["meta"].get("concerns"): row["stored_at"] for row in events}  # of who is erased nothing is
        for row in self.messages:
            at = taken_back.get(row["channel_message_id"])
            if (
                row["kind"] == "deleted"
                and at is not None
                and any(
                    turn["conversation_id"] == row["conversation_id"]
                    and turn["first_seq"] <= row["seq"] <= turn["last_seq"]
                    and turn["started_at"] < at
                    for turn in self.turns
                )
            ):
                row["text"] = row["meta"].get("before", "")

    def is_stopped(self, row: Row) -> bool:
        """Whether an operator cancelled its run: what was under way is carried on with the next message."""
        return self.conversations[row["conversation_id"]]["stopped_seq"] is not None

    def name(self, row: Row) -> str:
        return self.world.name_of(row.get("conversation_id") or row["id"])


Promise = Callable[[Facts], Iterator[str]]


def at_each_moment(world: World) -> list[str]:
    """Promises that hold while everything is still going on."""
    broken = [f"{world.name_of(row['conversation_id'])} owes {row['what']}" for row in world.look(inside.OWES)]
    broken += [f"a defect: {each}" for each in world.defects]
    broken += [f"a defect: {each}" for run in world.all_runs for each in run.defects]
    return broken


def at_the_end(world: World, promises: Sequence[Promise] | None = None) -> list[str]:
    """Every promise (PROMISES); empty if all are kept."""
    facts = Facts(world)
    broken = at_each_moment(world)
    for promise in PROMISES if promises is None else promises:
        broken += [f"{promise.__name__}: {each}" for each in promise(facts)]
    return broken


def each_message_has_one_outcome(facts: Facts) -> Iterator[str]:
    covered: dict[Any, Counter[int]] = defaultdict(Counter)
    for turn in facts.turns:
        if turn["finished_at"] is not None:
            covered[turn["conversation_id"]].update(range(turn["first_seq"], turn["last_seq"] + 1))
    for conversation in facts.conversations.values():
        if conversation["stopped_seq"] is not None or conversation["erased"]:
            continue
        for seq in range(1, conversation["newest_seq"] + 1):
            if covered[conversation["id"]][seq] != 1:
                yield f"{facts.name(conversation)}{seq} has {covered[conversation['id']][seq]} outcomes"
    for turn in filter(facts.kept, facts.turns):
        wanted = {"answered": 1, "apologised": 1, "held": 0}.get(turn["status"])
        if wanted is not None and len(turn["replies"]) != wanted:
            yield f"{facts.name(turn)}{turn['first_seq']} is {turn['status']} with {len(turn['replies'])} replies"


def nobody_is_apologised_to_unasked(facts: Facts) -> Iterator[str]:
    """But for an hour of failing machines."""
    asked = {output["turn_id"] for output in facts.world.look(inside.TRIES)}
    for turn in facts.turns:
        if turn["status"] == "apologised" and turn["id"] not in asked and facts.name(turn) not in facts.world.troubled:
            yield f"{facts.name(turn)}{turn['first_seq']} is apologised for, and was never asked"


def replies_are_in_order(facts: Facts) -> Iterator[str]:
    """But those that a person's taking over held back: they are told under a later version of the owner, if at all."""
    began = {turn["id"]: turn["owner_version"] for turn in facts.turns}
    left = [
        row
        for row in facts.messages
        if row["turn_id"] and row["delivery"] != "withheld" and row["owner_version"] == began.get(row["turn_id"])
    ]
    stored = {row["turn_id"]: row["stored_at"] for row in left}
    replied = [turn for turn in facts.turns if turn["replies"] and turn["id"] in stored and facts.kept(turn)]
    for before, after in pairwise(replied):
        if before["conversation_id"] == after["conversation_id"] and stored[before["id"]] > stored[after["id"]]:
            yield f"{facts.name(after)}{after['first_seq']} is answered before {before['first_seq']}"
    rows = {str(row["id"]): row for row in facts.deliveries}
    first = dict.fromkeys(str(read_delivery_id(each.request.delivery_id)[0]) for each in facts.world.whatsapp.sent)
    by_conversation: dict[Any, list[Row]] = defaultdict(list)
    told_later = {
        row["id"]
        for row in facts.messages
        if row["turn_id"] and row["owner_version"] != began.get(row["turn_id"], row["owner_version"])
    }
    for delivery in first:
        if rows[delivery]["message_id"] not in told_later:
            by_conversation[rows[delivery]["conversation_id"]].append(rows[delivery])
    for conversation_id, sent in by_conversation.items():
        wrong = [(one, other) for one, other in combinations(sent, 2) if _place(one) > _place(other)]
        if any(not _cross_in_a_merge(facts, one, other) for one, other in wrong):
            yield f"{facts.world.name_of(conversation_id)} got its replies out of order"


def _place(part: Row) -> tuple[Any, int]:
    return part["replied_at"], part["part"]


def _cross_in_a_merge(facts: Facts, one: Row, other: Row) -> bool:
    """Whether the *other* part, which was said first and sent later, comes from another conversation: whoever sends
    goes on with what is due in theirs. What is said after a merge comes after what had moved by it."""
    merged = [row["merged_at"] for row in facts.conversations.values() if row["merged_into"] == one["conversation_id"]]
    if not merged or other["replied_at"] < max(merged) <= one["replied_at"]:
        return False
    began = [facts.turn[row["turn_id"]]["conversation_id"] if row["turn_id"] else None for row in (one, other)]
    return None in began or began[0] != began[1]


def parts_are_sent_once(facts: Facts) -> Iterator[str]:
    """Once more for each failure that the channel reported, and once where nobody knows."""
    begun: dict[str, list[Taken]] = defaultdict(list)
    failed = Counter(str(read_delivery_id(each)[0]) for each in facts.world.reported_failed)
    for each in facts.world.whatsapp.begun:
        begun[str(read_delivery_id(each.delivery_id)[0])].append(each.taken)
    for delivery, tries in begun.items():
        may_have_gone = [taken for taken in tries if taken not in (Taken.BUSY, Taken.FINAL)]
        if len(may_have_gone) > 2 + failed[delivery]:
            yield f"a part was sent {len(may_have_gone)} times, of which {failed[delivery]} were reported as failed"


def each_effect_happened_once(facts: Facts) -> Iterator[str]:
    done = Counter(call.key for call in facts.world.endpoints.calls if call.done and call.endpoint != "look_up")
    effects = {row["key"]: row for row in facts.effects}
    for key, times in done.items():
        if times > 1:
            yield f"{effects[key]['name']} was done {times} times"
        interrupted = effects[key]["status"] == "sending" and facts.is_stopped(effects[key])
        if effects[key]["status"] not in ("confirmed", "unknown") and not interrupted:
            yield f"{effects[key]['name']} was done, and the ledger says {effects[key]['status']}"
    for effect in facts.effects:
        called = effect["name"] == "api_call" and effect["metadata"].get("endpoint") not in (None, "look_up")
        if called and effect["status"] == "confirmed" and not done[effect["key"]] and not _repeated(effect):
            yield f"{effect['name']} is confirmed, and was never done"
        if _repeated(effect) and effect["confirmation_by"]:
            yield f"{effect['name']} was agreed to, and taken for a repetition"
        wanted = "cancelled" if effect["failure"] == "withheld" else "accepted"
        if effect["action_status"] != wanted:
            yield f"{effect['name']} is {effect['status']}, and its action {effect['action_status']}, not {wanted}"


def _repeated(effect: Row) -> bool:
    return bool((effect["result"] or {}).get("repeated"))


def nothing_done_is_denied(facts: Facts) -> Iterator[str]:
    """Neither by the turn's reply, nor by what came of an action that it asked about."""
    for effect in facts.effects:
        turn = facts.turn[effect["of_turn"]]
        if effect["status"] == "confirmed" and effect["side_effect"] and effect["confirmation_by"] != "staff":
            for reply in {*turn["replies"], *turn["told"]} & _DENIALS:
                yield f"{effect['name']} of {facts.name(turn)}{turn['first_seq']} was done; the customer read: {reply}"


def a_button_denies_nothing_done(facts: Facts) -> Iterator[str]:
    """Pressed again after the deed, it is not answered as if nothing had been done."""
    incoming = {(row["conversation_id"], row["seq"]): row for row in facts.messages if row["direction"] == "in"}
    asked = (row for row in facts.effects if row["confirmation_by"] and facts.kept(row))
    done = {row["digest"]: row for row in asked if row["status"] == "confirmed"}
    for turn in filter(facts.kept, facts.turns):
        said = incoming.get((turn["conversation_id"], turn["last_seq"]))
        effect = done.get(((said and said["meta"]) or {}).get("choice_id", "").partition(":")[2])
        if effect and effect["settled_at"] < turn["started_at"] and turn["first_seq"] == turn["last_seq"]:
            for reply in set(turn["replies"]) & _DENIALS:
                yield f"{effect['name']} was done; who pressed its button again read: {reply}"


def threads_are_continuous(facts: Facts) -> Iterator[str]:
    parents = {asked.backend_uuid: asked.question for asked in facts.world.perplexity.asked}
    rows = {row["frontend_context_uuid"]: row for row in facts.threads}
    used: dict[Any, list[Row]] = defaultdict(list)
    for output in facts.outputs:
        if output["used"] and output["turn_id"] in facts.turn:
            used[output["turn_id"]].append(output)
    accepted: dict[str, str] = {}
    for turn in sorted(filter(facts.kept, facts.turns), key=lambda turn: turn["started_at"]):
        thread, newest = turn["frontend_context_uuid"], dict(accepted)
        for output in used[turn["id"]]:
            asked = parents[output["backend_uuid"]]
            known = {newest.get(asked.frontend_context_uuid)}
            if facts.name(turn) in facts.world.changed:  # it may have begun again
                known.add(accepted.get(asked.frontend_context_uuid))
            if asked.backend_uuid not in known:
                yield f"{facts.name(turn)}{turn['first_seq']} was asked behind another answer than the last accepted"
            newest[asked.frontend_context_uuid] = output["backend_uuid"]
        if turn["backend_uuid"] is not None:
            accepted[str(thread)] = turn["backend_uuid"]
        row = rows.get(thread)
        if used[turn["id"]] and (row is None or not row["account_name"] or not row["thread_url_slug"]):
            yield f"the thread of {facts.name(turn)}{turn['first_seq']} knows no account or slug"
    yield from _new_threads(facts)


def _new_threads(facts: Facts) -> Iterator[str]:
    """A new thread begins where there was none, or after a reset."""
    last: dict[Any, Any] = {}
    for turn in facts.turns:
        if turn["backend_uuid"] is None or not facts.kept(turn):
            continue
        before = last.get(turn["conversation_id"])
        threads = [row for row in facts.threads if row["frontend_context_uuid"] == before]
        ended = any(row["ended_at"] for row in threads)
        if before not in (None, turn["frontend_context_uuid"]) and not ended:
            yield f"{facts.name(turn)}{turn['first_seq']} began a new thread for nothing"
        last[turn["conversation_id"]] = turn["frontend_context_uuid"]


def no_slot_is_leaked(facts: Facts) -> Iterator[str]:
    """Whoever ends a question frees its slot; only a dead worker's is left to its lease."""
    for row in facts.world.look(inside.SLOTS):
        name = facts.world.name_of(row["conversation_id"])
        if name not in facts.world.troubled:
            yield f"a {row['what']} of {name} is left"


def deliveries_and_channel_agree(facts: Facts) -> Iterator[str]:
    sent = [each.request.delivery_id for each in facts.world.whatsapp.sent]
    taken = {str(read_delivery_id(each)[0]) for each in sent}
    arrived = {str(read_delivery_id(each)[0]) for each in facts.world.reported_arrived}
    not_failed = {str(read_delivery_id(each)[0]) for each in sent if each not in facts.world.reported_failed}
    for row in filter(facts.kept, facts.deliveries):
        if row["status"] in ("sent", "delivered", "read") and str(row["id"]) not in taken:
            yield f"a part is {row['status']}, and the channel never had it"
        if str(row["id"]) in arrived and row["status"] not in ("delivered", "read", "deleted"):
            yield f"a part has arrived, and is {row['status']}"
        if row["status"] == "sent" and str(row["id"]) not in not_failed:
            yield "a part is sent, and each attempt that the channel took was reported as failed"
        untold = row["status"] in ("failed", "unknown", "due", "sending") and row["failure"] not in _TELLS_ITSELF
        if untold and not row["noted"] and not facts.is_stopped(row):
            yield f"a part ended as {row['status']}, and staff were not told"


def nothing_stays_owed(facts: Facts) -> Iterator[str]:
    for row in facts.world.look(inside.OVERDUE):
        yield f"{facts.world.name_of(row['conversation_id'])} is still owed {row['what']}"


def a_yes_is_this_questions(facts: Facts) -> Iterator[str]:
    """What was done on a customer's yes was asked about before, and everything said since says yes, ours included."""
    incoming = {(row["conversation_id"], row["seq"]): row for row in facts.messages if row["direction"] == "in"}
    ours = facts.world.look(inside.ARRIVED)
    for row in facts.world.look(inside.CONFIRMED):
        turn = facts.turn[row["turn_id"]]
        if not facts.kept(turn) or row["decided_by"] != "customer":
            continue
        for seq in range(turn["first_seq"], turn["last_seq"] + 1):
            said = incoming[turn["conversation_id"], seq]
            button, once = (said["meta"] or {}).get("choice_id"), row["sends"] == 1
            if button not in (None, f"confirm:{row['digest']}") or (button is None and said["text"] != "yes"):
                yield f"{facts.name(turn)}{turn['first_seq']}: done on the words {said['text']!r}"
            elif button is None and not row["is_whole"]:
                yield f"{facts.name(turn)}{turn['first_seq']}: done on a yes to a question that never left, or in part"
            elif button is None and once and said["sent_at"] <= row["accepted_at"].replace(microsecond=0):
                yield f"{facts.name(turn)}{turn['first_seq']}: done on a yes from before the question"
            elif button is None and once and _was_said_otherwise(facts, turn, row):
                yield f"{facts.name(turn)}{turn['first_seq']}: done on a yes in words beside other words"
            elif button is None and once and any(_between(each, row, said) for each in ours):
                yield f"{facts.name(turn)}{turn['first_seq']}: done on a yes to other words of ours"


def _between(ours: Row, asked: Row, said: Row) -> bool:
    """They left after the question, and had arrived before the answer was stored."""
    here = ours["conversation_id"] == said["conversation_id"] and ours["message_id"] != asked["message_id"]
    return bool(here and ours["claimed_at"] > asked["left_at"] and ours["settled_at"] < said["stored_at"])


def _was_said_otherwise(facts: Facts, turn: Row, asked: Row) -> bool:
    return any(_says_otherwise(each, asked) for each in _beside(facts, turn, asked["settled_at"]))


def _beside(facts: Facts, turn: Row, decided_at: datetime) -> Iterator[Row]:
    """What else the customer had written when it was decided, before the turn's messages or behind them; of one that
    was merged into it by then, before the turn."""
    for said in facts.messages:
        if said["direction"] != "in" or said["seq"] is None:
            continue
        merged, was_there = facts.conversations[said["conversation_id"]], said["moved_at"] or said["stored_at"]
        here = said["conversation_id"] == turn["conversation_id"] and said["seq"] < turn["first_seq"]
        behind = said["conversation_id"] == turn["conversation_id"] and said["seq"] > turn["last_seq"]
        there = merged["merged_into"] == turn["conversation_id"] and merged["merged_at"] < decided_at
        if (
            here
            or (behind and was_there < decided_at - _SAME_MOMENT)
            or (there and said["stored_at"] < turn["started_at"])
        ):
            yield said


def _says_otherwise(said: Any, asked: Any) -> bool:
    since = said["sent_at"] is not None and said["sent_at"] > asked["accepted_at"].replace(microsecond=0)
    return since and said["kind"] not in ("held", "deleted") and said["text"] != "yes"


def a_button_is_no_message(facts: Facts) -> Iterator[str]:
    """It answers its own question, or nothing: the model is not asked what it means. But of a question that was erased
    nobody knows any more."""
    incoming = {(row["conversation_id"], row["seq"]): row for row in facts.messages if row["direction"] == "in"}
    asked = {row["turn_id"] for row in facts.world.look(inside.TRIES) if row["purpose"] == "answer"}
    known = {f"confirm:{row['digest']}" for row in facts.world.look(inside.QUESTIONS)}
    for turn in filter(facts.kept, facts.turns):
        said = incoming.get((turn["conversation_id"], turn["first_seq"]))
        alone = turn["first_seq"] == turn["last_seq"]
        if alone and said and (said["meta"] or {}).get("choice_id") in known and turn["id"] in asked:
            yield f"{facts.name(turn)}{turn['first_seq']}: the model was asked what a button means"


def nothing_of_the_bot_leaves_under_a_human(facts: Facts) -> Iterator[str]:
    """Neither the model's words nor an action's result; that a colleague comes is told, behind what was done before."""
    for begun in facts.world.whatsapp.begun:
        if begun.too_late:
            yield f"{begun.text!r} left under a human"
    for call in facts.world.endpoints.calls:
        if call.late:
            yield f"{call.endpoint} was begun under a human"


def nobodys_words_are_forgotten(facts: Facts) -> Iterator[str]:
    """They are answered, or a person's to answer, and counted as such."""
    for row in facts.world.look(inside.UNCARED):
        yield f"{facts.name(row)}{row['seq']} is {row['owner']}'s, and {row['text']!r} is forgotten"


def staff_are_heard_once(facts: Facts) -> Iterator[str]:
    """Whatever became of the conversation between two calls of the same key."""
    for row in facts.world.look(inside.STAFF_SAID):
        if row["times"] != 1:
            yield f"{row['text']!r} was said {row['times']} times"


def a_handoff_has_its_human(facts: Facts) -> Iterator[str]:
    for row in facts.world.look(inside.WITHOUT_A_HUMAN):
        yield f"{facts.name(row)} has an open handoff, and no person has it"


def nothing_over_is_called_open(facts: Facts) -> Iterator[str]:
    """That a colleague has to agree, or a yes is waited for, does not leave (again) once that has ended."""
    for row in facts.world.look(inside.SAID_TOO_LATE):
        yield f"{facts.name(row)} is told {row['text']!r}, and {row['name']} is {row['status']}"


def staff_decide_once(facts: Facts) -> Iterator[str]:
    """An approved action changes the owner once, and not after people have changed it since."""
    for row in facts.world.look(inside.MOVED_BY_STAFF):
        if row["times"] > 1 or row["late"]:
            yield f"{row['name']} of {facts.name(row)} changed the owner {row['times']} times, late: {row['late']}"


def a_reset_begins_a_thread(facts: Facts) -> Iterator[str]:
    """No answer that counts goes on in the thread from before it, but an action's final words."""
    asked = facts.world.perplexity.asked
    number = {each.backend_uuid: n for n, each in enumerate(asked)}
    for letter, before in facts.world.resets:
        old = {each.question.frontend_context_uuid for each in asked[:before] if each.of == letter}
        for output in facts.outputs:
            turn, n = facts.turn.get(output["turn_id"]), number[output["backend_uuid"]]
            if turn is None or not output["used"] or output["purpose"] == "conclude" or turn["status"] == "withheld":
                continue
            if n >= before and facts.name(turn) == letter and asked[n].question.frontend_context_uuid in old:
                yield f"{letter}{turn['first_seq']} goes on in the thread from before the reset"


def one_customer_has_one_conversation(facts: Facts) -> Iterator[str]:
    rows = [row for row in facts.world.look(inside.LIVE) if row["id"] != facts.world.strangers]
    live = [facts.world.name_of(row["id"]) for row in rows]
    if facts.world.are_one and len(live) > 1:
        yield f"{' and '.join(sorted(live))} go on beside each other"


def who_has_a_number_now_is_somebody_else(facts: Facts) -> Iterator[str]:
    """Than who had it before: neither gets what is the other's, nor is the model told of it, by thread or in words."""
    world = facts.world
    if world.strangers is None:
        return
    for begun in world.whatsapp.begun:
        if begun.astray:
            yield f"{begun.text!r} left for another, who has the number by now or had it before"
    for row in facts.messages:
        wrote, here = world.wrote.get(row["channel_message_id"] or ""), row["conversation_id"] == world.strangers
        if wrote is not None and (wrote == STRANGER) != here:
            yield f"{row['text']!r} of customer {wrote + 1} stands in {facts.name(row)}"
    letter = world.name_of(world.strangers)
    said: dict[bool, set[str]] = defaultdict(set)
    for each in world.composed:
        if each.text.endswith("."):  # others are not numbered
            said[world.wrote.get(each.channel_message_id) == STRANGER].add(each.text)
    threads: dict[bool, set[str]] = defaultdict(set)
    for asked in world.perplexity.asked:
        threads[asked.of == letter].add(asked.question.frontend_context_uuid)
        for words in said[asked.of != letter]:
            if words in asked.question.text:
                yield f"the model was asked about {words!r} for {asked.of}"
    if threads[True] & threads[False]:
        yield f"{letter} was asked in another's thread"


def one_thread_is_in_use(facts: Facts) -> Iterator[str]:
    for row in facts.world.look(inside.IN_USE):
        yield f"{facts.name(row)} has more than one thread in use"


def a_thread_is_lost_only_where_it_is_forgotten(facts: Facts) -> Iterator[str]:
    """And after its question surely failed twice there. What takes its place is told what was said so far."""
    perplexity = facts.world.perplexity
    for row in facts.world.look(inside.LOST):
        thread, letter = str(row["frontend_context_uuid"]), facts.name(row)
        if thread not in perplexity.forgotten or not row["failed_twice"]:
            yield f"{letter} lost a thread that upstream knows, or that did not fail twice"
    new = {str(inside.in_its_place(turn["id"])): turn for turn in filter(facts.kept, facts.turns)}
    for asked in perplexity.asked:
        turn = new.get(asked.question.frontend_context_uuid)
        if turn and asked.question.backend_uuid is None and "conversation_so_far" not in asked.question.text:
            yield f"{facts.name(turn)}{turn['first_seq']} is asked without what was said before its thread was lost"


def a_forgotten_thread_costs_nothing(facts: Facts) -> Iterator[str]:
    """Where nothing else failed, the message is answered in another."""
    perplexity, world = facts.world.perplexity, facts.world
    failed = {each.of for each in perplexity.asked if each.said in FAILURES and not each.lost}
    later = {output["turn_id"] for output in world.look(inside.TRIES) if output["purpose"] != "answer"}
    for turn in filter(facts.kept, facts.turns):
        name = facts.name(turn)
        hindered = perplexity.unsure or name in failed | world.troubled or turn["id"] in later
        if turn["status"] == "apologised" and not hindered:
            yield f"{name}{turn['first_seq']} is apologised for, and only its thread was forgotten"


def who_waits_for_long_is_told(facts: Facts) -> Iterator[str]:
    """That the account has no room is the customer's to know, after a while and before the turn comes once more."""
    told = {row["turn_id"]: row["stored_at"] for row in facts.world.look(inside.WAITS_TOLD)}
    longest = timedelta(seconds=facts.world.settings.still_working_seconds)
    late: set[UUID] = set()
    for turn_id, at in facts.world.database.waited:
        turn = facts.turn.get(turn_id)
        if turn is None or not facts.kept(turn) or facts.name(turn) in facts.world.troubled | facts.world.changed:
            continue
        conversation = facts.conversations[turn["conversation_id"]]
        hindered = conversation["merged_into"] or facts.is_stopped(turn)
        if turn_id in late and not hindered and told.get(str(turn_id), at) >= at:
            yield f"{facts.name(turn)}{turn['first_seq']} waits for its account, and was told nothing"
        if at - turn["started_at"] >= longest:
            late.add(turn_id)


def nobody_is_asked_about_words_taken_back(facts: Facts) -> Iterator[str]:
    """Nor about those that an edit replaced: only who has read them by then may still be about to ask."""
    for row in facts.messages:
        since, before = facts.world.revised.get(row["channel_message_id"] or ""), (row["meta"] or {}).get("before")
        if row["direction"] != "in" or since is None or not (before or "").endswith("."):  # others are not numbered
            continue
        if any(before in asked.words for asked in facts.world.perplexity.asked[since:]):
            yield f"{facts.name(row)}{row['seq']}: the model was asked about {before!r}"


PROMISES: tuple[Promise, ...] = (
    each_message_has_one_outcome,
    nobody_is_apologised_to_unasked,
    replies_are_in_order,
    parts_are_sent_once,
    each_effect_happened_once,
    nothing_done_is_denied,
    a_button_denies_nothing_done,
    threads_are_continuous,
    no_slot_is_leaked,
    deliveries_and_channel_agree,
    nothing_stays_owed,
    nothing_over_is_called_open,
    a_yes_is_this_questions,
    a_button_is_no_message,
    nothing_of_the_bot_leaves_under_a_human,
    nobodys_words_are_forgotten,
    staff_are_heard_once,
    a_handoff_has_its_human,
    staff_decide_once,
    a_reset_begins_a_thread,
    one_customer_has_one_conversation,
    who_has_a_number_now_is_somebody_else,
    one_thread_is_in_use,
    a_thread_is_lost_only_where_it_is_forgotten,
    a_forgotten_thread_costs_nothing,
    who_waits_for_long_is_told,
    nobody_is_asked_about_words_taken_back,
)
