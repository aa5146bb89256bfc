"""`agent assistant show|apply` and `agent prompt-pack`: what a bot may do, as YAML, and what its model is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import yaml
from pydantic import TypeAdapter, ValidationError

from actions.endpoint_checks import reach_problems
from actions.prompt_pack import PromptPack, prompt_pack
from actions.registry import Registry, configuration_problems
from actions.visible import unseen_texts
from activities.action_handlers import configuration_errors
from cli.surroundings import completed, found_settings, on_database, own_settings, stop, unreadable
from cli.values import PATH, refusals, user_name
from cli.yaml_files import Unusable, read_yaml
from config.settings import Settings
from schemas.assistants import Assistant, AssistantConfig
from schemas.requests import AssistantName
from storage.configurations import AccountTaken, Configurations

app = typer.Typer(help="Assistants: show and change their configuration.", no_args_is_help=True)
T = TypeVar("T")

Name = Annotated[str, typer.Option("--assistant", "-a", help="Which bot.")]


@app.command()
def show(name: Name = "default") -> None:
    """Print the configuration in force as YAML; edit it and `apply` it again."""
    assistant = _known(name)
    typer.echo(f"# assistant {assistant.name}, version {assistant.version} (0: nothing stored, all defaults)")
    body = assistant.config.model_dump(mode="json")
    typer.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True), nl=False)


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(callback=PATH, help="YAML, as `show` prints it.")],
    name: Name = "default",
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong in it; nothing is stored.")] = False,
) -> None:
    """Store FILE as a new version, in force from each conversation's next turn on. What is wrong in it is listed."""
    settings = own_settings() if check else found_settings()
    _check_name(name)
    config = _read(file)
    if problems := problems_of(config, settings):
        raise stop(f"{file}: " + "; ".join(problems))
    try:
        if check:
            typer.echo(f"{file}: {_checked(name, config, settings)}")
            return
        who = user_name()
        version = _with(lambda configurations: configurations.apply(name, config, created_by=who))
    except AccountTaken as taken:
        raise stop(f"{file}: {taken}") from None
    typer.echo(f"assistant {name}: version {version} is in force from each conversation's next turn on")


def show_prompt_pack(
    name: Name = "default",
    pasted: Annotated[
        bool, typer.Option("--pasted", help="Note that the Space has this version now; outputs name it then.")
    ] = False,
) -> None:
    """Print what to paste into the Perplexity Space, or note that it was pasted."""
    assistant, settings = _known(name), found_settings()
    pack = _pack(assistant, settings)
    if pasted:
        space = assistant.config.collection_uuid or settings.default_collection_uuid
        if space is None:
            told = "has no Space (collection_uuid, or DEFAULT_COLLECTION_UUID), so nothing can be pasted into it"
            raise stop(f"--pasted: assistant {name} {told}: its pack goes with each thread")
        who = user_name()
        _with(lambda configurations: configurations.pasted(name, pack.version, space, who))
        typer.echo(f"prompt pack {pack.version} of assistant {name}: noted as pasted into the Space {space}")
        return
    typer.echo(f"# prompt pack {pack.version} of assistant {name}; paste all below this line into the Space")
    typer.echo(pack.text)


def problems_of(config: AssistantConfig, settings: Settings) -> list[str]:
    """What keeps *config* from being stored, each with its place; empty if it is fine."""
    problems = [f"{each.path}: {each.message}" for each in configuration_problems(config.actions)]
    problems += [f"{each.path}: {each.message}" for each in configuration_errors(config.actions)]
    reached = reach_problems(config.actions, settings.endpoint_secrets, settings.endpoint_private_hosts)
    problems += [f"{each.path}: {each.message}" for each in reached]
    others = unseen_texts(config.model_dump(exclude={"actions"}))
    problems += [f"{each.path}: {each.message}" for each in others]
    return problems + _pack_problems(config, settings)


def _check_name(name: str) -> None:
    try:
        TypeAdapter(AssistantName).validate_python(name)
    except ValidationError:
        told = "1 to 64 of a-z, 0-9, _ and -, a letter or a digit first"
        raise stop(f"--assistant: {name!r} is no name of an assistant: {told}") from None


def _known(name: str) -> Assistant:
    """The assistant *name*; ends the program with one line if there is none."""
    _check_name(name)

    async def look(configurations: Configurations) -> Assistant | list[str]:
        names = await configurations.names()
        return await configurations.newest(name) if name in names else names

    found = _with(look)
    if isinstance(found, list):
        raise stop(f"--assistant: there is no assistant {name!r}; there are: {', '.join(found)}")
    return found


def _checked(name: str, config: AssistantConfig, settings: Settings) -> str:
    """That nothing is wrong, by the file and by what is stored. Raises AccountTaken."""
    if not any(config.accounts.model_dump().values()):
        return "nothing is wrong"
    if completed(settings).database_url is None:
        return "nothing is wrong in it; no database is known to look up whether another assistant has its accounts"
    _with(lambda configurations: configurations.check_accounts(name, config))
    return "nothing is wrong"


def _read(file: Path) -> AssistantConfig:
    try:
        body = read_yaml(file.read_text(encoding="utf-8-sig"))
        if not isinstance(body, dict):
            raise stop(f"{file}: nothing to apply: it must hold fields, as `agent assistant show` prints them")
        return AssistantConfig.model_validate(body)
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, error, "name a file that `agent assistant show > bot.yaml` wrote") from None
    except Unusable as error:
        raise stop(f"{file}: {error}") from None
    except ValidationError as error:
        lines = [f"{place}: {why}" for place, why in refusals(error)[:20]]
        raise stop(f"{file}: " + "; ".join(lines)) from None


def _pack(assistant: Assistant, settings: Settings) -> PromptPack:
    return prompt_pack(Registry(assistant.config.actions), settings.prompt_pack_bytes)


def _pack_problems(config: AssistantConfig, settings: Settings) -> list[str]:
    try:
        _pack(Assistant(name="", config=config), settings)
    except ValueError as error:
        return [str(error)]
    return []


def _with(work: Callable[[Configurations], Awaitable[T]]) -> T:
    """*work* on the configurations of the running system."""
    return on_database(lambda database, _: work(Configurations(database)))
