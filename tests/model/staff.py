"""What people do, as the API does it for them: they take a conversation, decide, write, resolve, configure, erase."""

from __future__ import annotations

from uuid import UUID, uuid5

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
    _tell(world, run, world.run(Standings(world.database).change(run.conversation_id, event, who="Ann")))
    if event is Change.TAKEN:
        world.taken.setdefault(run.conversation_id, world.passed)
    else:
        world.taken.pop(run.conversation_id, None)


def reset(world: World, run: DrivenRun) -> None:
    world.tell(f"{run.letter} is reset")
    world.loop.advance(STEP_SECONDS)
    _tell(world, run, world.run(Standings(world.database).reset(run.conversation_id, new_thread=True, who="Ann")))
    world.taken.pop(run.conversation_id, None)
    world.resets.append((run.letter, len(world.perplexity.asked)))


def write(world: World, run: DrivenRun) -> None:
    """A person's own words: they leave, whoever has the conversation."""
    world.tell(f"staff write in {run.letter}")
    world.loop.advance(STEP_SECONDS)
    world.staff_said += 1
    message_id = uuid5(run.conversation_id, f"staff {world.staff_said}")
    outbox, text = Outbox(world.database), f"Ann here {world.staff_said}."
    world.run(outbox.add(run.conversation_id, text, message_id=message_id, author="agent", author_name="Ann"))
    world.signalled(world.workflow_of(run), "delivery_due")
    world.loop.run_until_quiet()


def resolve_newest_ticket(world: World) -> bool:
    """False if none is open."""
    tickets = world.look(inside.OPEN_TICKETS)
    resolved = world.run(Desk(world.database).resolve_ticket(tickets[0]["id"], who="Ann")) if tickets else None
    if resolved is not None:
        world.tell(f"a ticket of {world.name_of(resolved.conversation_id)} is resolved")
        world.standing_changed(resolved.workflow_id)
        if resolved.seq:
            world.signalled(resolved.workflow_id, "message_stored", resolved.seq)
        world.loop.run_until_quiet()
    return resolved is not None


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
    by = world.run(Actions(world.database).hand_in(conversation_id, approved=decision.approved, who=who))
    world.decides(workflow_id, decision.model_copy(update={"by": by}))
    world.loop.run_until_quiet()


def _tell(world: World, run: DrivenRun, changed: Changed) -> None:
    """What the API tells after a change."""
    world.changed.add(run.letter)
    world.standing_changed(world.workflow_of(run))
    if changed.waiting_seq is not None:
        world.signalled(world.workflow_of(run), "message_stored", changed.waiting_seq)
    world.loop.run_until_quiet()
