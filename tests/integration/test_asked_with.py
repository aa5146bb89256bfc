"""The version of the prompt pack beside an output: the one in the Space that it was asked in, and of every attempt."""

from __future__ import annotations

from typing import Any

from integrations.perplexity.port import AskFailed
from schemas.assistants import AssistantConfig
from schemas.failures import ModelFailureKind
from tests.system_in_process import System, running_system

OF_EACH = "SELECT failure, used, text, prompt_pack FROM raw_outputs ORDER BY created_at"


async def asked_with(system: System) -> list[Any]:
    return [tuple(row.values()) for row in await system.database.rows(OF_EACH)]


async def live_in(system: System, space: str | None) -> None:
    await system.services.configurations.apply("default", AssistantConfig(collection_uuid=space), "test")


async def test_a_pack_in_one_space_says_nothing_of_another(postgres_url: str, temporal_address: str) -> None:
    async with running_system(postgres_url, temporal_address, default_collection_uuid="of all") as system:
        pasted = system.services.configurations.pasted
        for space, versions in (("a", ["old", "in-a"]), ("of all", ["in-all"])):
            for version in versions:
                await pasted("default", version, space, "Ann")
        await pasted("another", "of-another", "b", "Ann")
        for space in ("a", "b", None, "a"):
            await live_in(system, space)
            await system.send("Hello")

        packs = [row[-1] for row in await asked_with(system)]

    assert packs == ["in-a", "unknown", "in-all", "in-a"]


async def test_an_attempt_that_failed_names_it_too(postgres_url: str, temporal_address: str) -> None:
    cut = AskFailed(ModelFailureKind.CUT, "it broke off", partial="We deliv")
    async with running_system(postgres_url, temporal_address) as system:
        pack = (await system.http.get("/api/prompt-pack")).json()["version"]
        system.perplexity.scripts.extend([cut, "We do."])
        await system.send("Do you deliver?")
        await live_in(system, "a")
        await system.services.configurations.pasted("default", "in-a", "a", "Ann")
        system.perplexity.scripts.extend([cut, "To Penang too."])
        await system.send("Where to?")
        found = await asked_with(system)

    assert found == [
        ("cut", False, "We deliv", pack),
        (None, True, "We do.", pack),
        ("cut", False, "We deliv", "in-a"),
        (None, True, "To Penang too.", "in-a"),
    ]


async def test_a_space_that_has_another_assistants_pack_by_now_has_ours_no_more(
    postgres_url: str, temporal_address: str
) -> None:
    async with running_system(postgres_url, temporal_address) as system:
        pasted = system.services.configurations.pasted
        await live_in(system, "shared")
        for assistant, version in (("default", "ours"), ("another", "theirs"), ("default", "ours again")):
            await pasted(assistant, version, "shared", "Ann")
            await system.send("Hello")

        packs = [row[-1] for row in await asked_with(system)]

    assert packs == ["ours", "unknown", "ours again"]
