"""The papers can be read in any window, and what they show as an example works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli.assistants import problems_of
from config.settings import Settings
from schemas.actions import AssistantActions
from schemas.assistants import AssistantConfig
from schemas.requests import MessageRequest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
]
LONGEST = 100


def examples(language: str) -> list[str]:
    """The blocks of code in *language* that stand in any document."""
    block = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    found = [match for name in DOCUMENTS for match in block.findall((ROOT / name).read_text())]
    assert found
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_prose_is_short_in_line_and_ends_with_one(name: str) -> None:
    text = (ROOT / name).read_text()

    assert text.endswith("\n")
    assert [line for line in prose(text) if len(line) > LONGEST] == []


@pytest.mark.parametrize("example", examples("yaml"))
def test_an_example_of_a_configuration_would_be_stored(example: str) -> None:
    body = yaml.safe_load(example)
    config = AssistantConfig.model_validate(body if isinstance(body, dict) else {"actions": {"endpoints": body}})

    named = {secret: "x" for endpoint in config.actions.endpoints for secret in endpoint.headers.values()}
    settings = Settings(_env_file=None, endpoint_secrets=json.dumps(named))  # type: ignore[call-arg,arg-type]
    assert problems_of(config, settings) == []
    assert unreachable(config.actions) == []


def unreachable(actions: AssistantActions) -> list[str]:
    """What is declared and can never be used, for nothing that is on leads there."""
    on = [each for each in actions.custom if each.name in actions.enabled]
    used = {each.settings.get("endpoint") for each in on}
    endpoints = [each.name for each in actions.endpoints if "api_call" not in actions.enabled and each.name not in used]
    return endpoints + [each.name for each in actions.custom if each not in on]


@pytest.mark.parametrize("body", [body for text in examples("bash") for body in re.findall(r"'(\{.+?\})'", text)])
def test_an_example_of_a_message_would_be_taken(body: str) -> None:
    MessageRequest.model_validate_json(body)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())

    assert [link for link in links if "://" not in link and not leads_somewhere(name, link)] == []


def leads_somewhere(name: str, link: str) -> bool:
    """Whether the file is there, and the heading in it."""
    path, _, heading = link.partition("#")
    target = (ROOT / name).parent / path if path else ROOT / name
    return target.exists() and (not heading or heading in headings(target.read_text()))


def headings(text: str) -> set[str]:
    """As a link names them."""
    return {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_file_that_is_named_is_there(name: str) -> None:
    named = re.findall(r"`([\w.]+/[\w./-]+\.(?:py|sql|yaml|md|json))`", (ROOT / name).read_text())

    assert [path for path in named if not path.startswith("DATA_DIR/") and not (ROOT / path).exists()] == []


def test_each_page_is_found_from_the_front() -> None:
    front = "".join((ROOT / name).read_text() for name in ("README.md", "ARCHITECTURE.md"))

    assert [name for name in DOCUMENTS if name.startswith("docs/") and f"({name}" not in front] == []


def prose(text: str) -> Iterator[str]:
    """Neither tables nor code."""
    in_code = False
    for line in text.splitlines():
        if line.startswith("```"):
            in_code = not in_code
        elif not in_code and not line.startswith("|"):
            yield line
