"""What people do, as the API does it for them: they take a conversation, decide, write, resolve, configure, erase."""

from __future__ import annotations

from uuid import UUID

from schemas.conversations import ApprovalDecision
from schemas.transitions import Event as Change
from storage.actions import Actions
from storage.configurations import Configurations
from storage.desk import Desk
from storage.erasure import Erasure
from storage.outbox import Outbox
from storage.standings import Changed, Standings
from tests.model import inside
from tests.model.configurations import Configured, configuration
from tests.model.driver import DrivenRun
from tests.model.world import STEP_SECONDS, World


def configure(world: World, which: Configured) -> None:
    world.tell(f"configured: {which}")
    world.configured = which
    world.run(Configurations(world.database).apply("default", configuration(which), "the example"))


def change(world: World, run: DrivenRun, event: Change) -> None:
    """By one statement, of which the workflow is told."""
    world.tell(f"staff: {run.letter} is {event}")
    world.loop.advance(STEP_SECONDS)
    world.changed.add(run.letter)
    world.at_front_door("changes", lambda: _change(world, run, event))


async def _change(world: World, run: DrivenRun, event: Change) -> None:
    changed = await Standings(world.database).change(run.conversation_id, event, who="Ann")
    if event is Change.TAKEN:
        world.taken.setdefault(run.conversation_id, world.passed)
    else:
        world.taken.pop(run.conversation_id, None)
    _tell(world, run, changed)


def reset(world: World, run: DrivenRun) -> None:
    world.tell(f"{run.letter} is reset")
    world.loop.advance(STEP_SECONDS)
    world.changed.add(run.letter)
    _tell(world, run, world.run(Standings(world.database).reset(run.conversation_id, new_thread=True, who="Ann")))
    world.loop.run_until_quiet()
    world.taken.pop(run.conversation_id, None)
    world.resets.append((run.letter, len(world.perplexity.asked)))


def write(world: World, run: DrivenRun) -> None:
    """A person's own words: they leave, whoever has the conversation."""
    world.tell(f"staff write in {run.letter}")
    world.loop.advance(STEP_SECONDS)
    said = (run.conversation_id, f"Ann here {len(world.staff_said) + 1}.")
    world.staff_said.append(said)
    world.at_front_door("writes", lambda: _add(world, *said))


def write_again(world: World) -> bool:
    """The newest call comes again, under its key. False if there was none."""
    if not world.staff_said:
        return False
    conversation_id, text = world.staff_said[-1]
    world.tell(f"{text!r} comes again")
    world.loop.advance(STEP_SECONDS)
    world.at_front_door("writes", lambda: _add(world, conversation_id, text))
    return True


async def _add(world: World, conversation_id: UUID, text: str) -> None:
    added = await Outbox(world.database).add_reply(conversation_id, text, author_name="Ann", key=text)
    if added is not None and added.needs_delivery:  # None: the customer is erased
        [row] = await world.database.rows(inside.WORKFLOW, {"id": added.conversation_id})
        world.signalled(row["workflow_id"], "delivery_due")


def resolve_newest_ticket(world: World) -> bool:
    """False if none is open."""
    tickets = world.look(inside.OPEN_TICKETS)
    if tickets:
        world.tell("staff resolve the newest ticket")
        world.at_front_door("resolves", lambda: _resolve(world, tickets[0]["id"]))
    return bool(tickets)


async def _resolve(world: World, ticket_id: str) -> None:
    resolved = await Desk(world.database).resolve_ticket(ticket_id, who="Ann")
    if resolved is not None:
        world.standing_changed(resolved.workflow_id)
        if resolved.seq:
            world.signalled(resolved.workflow_id, "message_stored", resolved.seq)


def decide(world: World, *, approved: bool) -> bool:
    """The newest open question; one to the customer in their place. False if none is open."""
    questions = world.look(inside.OPEN_QUESTIONS)
    if not questions:
        return False
    question = questions[-1]
    for_customer = question["confirmation_by"] == "customer"
    decision = ApprovalDecision(digest=question["digest"], approved=approved, for_customer=for_customer)
    world.decided.append((question["workflow_id"], decision))
    _hand_in(world, question["workflow_id"], decision)
    return True


def resume_approval(world: World) -> bool:
    """The newest decision is handed in once more. False if there was none."""
    if not world.decided:
        return False
    _hand_in(world, *world.decided[-1])
    return True


def cancel(world: World, run: DrivenRun) -> None:
    world.tell(f"{run.letter} is cancelled")
    run.cancel()
    world.loop.run_until_quiet()


def erase(world: World, conversation_id: UUID) -> None:
    world.tell(f"{world.name_of(conversation_id)} is erased")
    world.are_one = False  # whoever comes next with either key is somebody else
    erasure = Erasure(world.database)
    customer_id = world.run(erasure.customer_of(conversation_id))
    world.run(erasure.erase(customer_id, actor="the example", force=True))


def _hand_in(world: World, workflow_id: str, decision: ApprovalDecision) -> None:
    """Under a name that tells which question it was; then update-with-start."""
    conversation_id, who = UUID(workflow_id.rpartition("/")[2]), f"Ann of {decision.digest[:8]}"
    world.tell(f"staff {'approve' if decision.approved else 'decline'} in {world.name_of(conversation_id)}")

    async def hand_in() -> None:
        by = await Actions(world.database).hand_in(conversation_id, approved=decision.approved, who=who)
        world.decides(workflow_id, decision.model_copy(update={"by": by}))

    world.at_front_door("decides", hand_in)


def _tell(world: World, run: DrivenRun, changed: Changed) -> None:
    """What the API tells after a change."""
    world.standing_changed(world.workflow_of(run))
    if changed.waiting_seq is not None:
        world.signalled(world.workflow_of(run), "message_stored", changed.waiting_seq)
