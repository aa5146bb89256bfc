"""Two conversations of different assistants become one: what waits for a yes stays what it was accepted as."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.actions import ActionDefinition, AssistantActions, Confirmation
from schemas.assistants import Accounts, AssistantConfig
from schemas.standing import Owner
from tests.person_with_two_keys import Person, conversations
from tests.support.shop import output
from tests.support.waiting import until
from tests.system_in_process import System, running_system
from tests.whatsapp_bodies import ACCOUNT, PHONE
from tests.whatsapp_customer import SETTINGS

SCHEMA = {"type": "object", "properties": {"card": {"type": "string", "x-sensitive": True}}}


def verify(by: Confirmation, **schema: Any) -> AssistantActions:
    definition = ActionDefinition(
        name="verify",
        description="Verifies the customer",
        handler="handoff",
        leads_to=Owner.HUMAN,
        metadata_schema=SCHEMA | schema,
        confirmation=by,
    )
    return AssistantActions(enabled=("verify",), custom=(definition,))


async def apply(system: System, name: str, account: bool, actions: AssistantActions | None = None) -> None:
    accounts = Accounts(whatsapp=(ACCOUNT,) if account else ())
    config = AssistantConfig(accounts=accounts, **({"actions": actions} if actions else {}))
    await system.services.configurations.apply(name, config, "test")


async def merged(system: System, of_first: AssistantActions | None, by: Confirmation) -> Person:
    """The number goes from `one` to `default`, whose second version asks; then the two customers are one."""
    person = Person(system)
    await apply(system, "one", True, of_first)
    await person.by_phone("Hello")
    await person.until_idle()
    await apply(system, "one", False, of_first)
    await apply(system, "default", True)
    for _ in range(2):
        await apply(system, "default", True, verify(by))
    system.perplexity.scripts.append(output("verify", card="PQRS-MARK"))
    await person.by_id("Verify me")
    await person.until_idle()
    await person.reacts_with_both()
    await until("the merge", lambda: conversations(system), lambda each: any(one["merged_into"] for one in each))
    return person


@pytest.mark.parametrize("number_known_to_both", [False, True])
async def test_staff_sees_and_decides_it(postgres_url: str, temporal_address: str, number_known_to_both: bool) -> None:
    """The first assistant has no such version, or another definition under that number."""
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        other = verify(Confirmation.STAFF, properties={"card": {"type": "string"}})
        person = await merged(system, None, Confirmation.STAFF)
        for _ in range(2 if number_known_to_both else 0):
            await apply(system, "one", False, other)

        session = await person.session()
        [question] = session["questions"]
        turns = await system.http.get(f"/api/session/{PHONE}/turns?channel=whatsapp")
        answer = {"approved": True, "agent_name": "Ann"}
        address = f"/api/session/{PHONE}/questions/{question['id']}?channel=whatsapp"
        decided = await system.http.post(address, json=answer)

        assert session["assistant"] == "one"
        assert question["text"].startswith("Shall I do this: Verifies the customer?")
        assert "PQRS" not in str(session) + turns.text
        assert (turns.status_code, decided.status_code) == (200, 200)
        assert (await person.session())["state"] == "human_handoff"


async def pressed(system: System, person: Person) -> list[str]:
    """What is said to a yes by the open question's own button."""
    [question] = (await person.session())["questions"]
    before = len(person.sent)
    await person.presses(f"confirm:{question['digest']}")
    return (await person.until_sent(before + 1))[before:]


async def test_a_customers_yes_does_what_the_other_assistant_accepted(postgres_url: str, temporal_address: str) -> None:
    """The assistant whose conversation goes on has no such action; the one that asked still has."""
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        person = await merged(system, None, Confirmation.CUSTOMER)
        said = await pressed(system, person)
        session = await person.session()

    assert said == ["I am passing you on to a colleague, who will answer you here."]
    assert (session["assistant"], session["state"]) == ("one", "human_handoff")


async def test_a_yes_is_refused_where_the_assistant_that_asked_has_the_action_no_more(
    postgres_url: str, temporal_address: str
) -> None:
    """Though the assistant whose conversation goes on has one of that name."""
    async with running_system(postgres_url, temporal_address, **SETTINGS) as system:
        person = await merged(system, verify(Confirmation.CUSTOMER), Confirmation.CUSTOMER)
        await apply(system, "default", True, AssistantActions())
        said = await pressed(system, person)
        session = await person.session()

    assert said == ["I'm sorry, I can't do that here. Is there anything else I can help with?"]
    assert (session["questions"], session["state"]) == ([], "bot")
