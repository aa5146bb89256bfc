"""docker-compose.yml says what the program understands: settings, commands, names; and holds no secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from cli.main import app
from config.settings import Settings
from launch.temporal import temporal_command
from schemas.operations import SEARCH_ATTRIBUTES

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)

OF_COMPOSE = {"AGENT_VERSION", "POSTGRES_PASSWORD"}
"""Variables that docker-compose.yml alone reads."""
SETTINGS = {name.upper() for name in Settings.model_fields}


def test_our_parts_are_there() -> None:
    assert OURS == ["api", "migrate", "worker"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_be_made_and_waits_for_what_is_there(name: str) -> None:
    service = SERVICES[name]

    assert "image" in service or "build" in service
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert "restart" in service


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_waited_for_comes_to_that_state(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert (how["condition"], SERVICES[other]["restart"]) == ("service_completed_successfully", "on-failure")


@pytest.mark.parametrize("name", OURS)
def test_our_commands_and_settings_are_real(name: str) -> None:
    service = SERVICES[name]

    assert len(service["command"]) == 1
    assert service["command"][0] in get_command(app).commands  # type: ignore[attr-defined]
    assert set(service["environment"]) <= SETTINGS
    assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_our_settings_have_values_that_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    for service in OURS:
        plain = {name.lower(): _filled(value) for name, value in SERVICES[service]["environment"].items()}
        settings = Settings(_env_file=None, **plain)  # type: ignore[call-arg]
        assert (settings.host, settings.port, settings.log_format) == ("0.0.0.0", 8000, "json")


def test_what_the_file_takes_from_env_is_a_setting_or_its_own() -> None:
    taken = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))

    assert taken <= SETTINGS | OF_COMPOSE


def test_no_secret_stands_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|PWD|SECRET|TOKEN|KEY", variable):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?[^}]+\}", value), f"{name}: {variable}"


def test_only_this_machine_reaches_what_is_published() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_volumes_are_named_or_in_the_repository() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).is_file()


def test_temporal_gets_the_search_attributes_and_the_polls_of_make_run() -> None:
    script = SERVICES["temporal-names"]["command"][0]
    made = dict(re.findall(r"--name (\w+) --type (\w+)", script))
    shipped = yaml.safe_load((ROOT / "deploy/temporal-dynamic-config.yaml").read_text())

    command = temporal_command(7233, 8233, None)
    raised = dict(each.split("=") for each in command if ".visibility" in each or "ProcessorMaxPollRPS" in each)

    assert made == SEARCH_ATTRIBUTES
    assert {name: str(values[0]["value"]) for name, values in shipped.items()} == raised


def test_the_image_holds_every_package_of_ours() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    packages = re.search(r"^packages = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert packages
    for package in yaml.safe_load(packages[1]):
        assert f"COPY {package} ./{package}\n" in dockerfile


def _filled(value: str) -> str:
    """As compose would: the default where there is one, else some value."""
    filled = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", value)
    whole = re.fullmatch(r"\$\{[A-Z_]+:\?[^}]*\}", filled)
    return "http://x" if whole else re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "x", filled)


def test_the_databases_log_quotes_no_statements() -> None:
    assert "log_min_messages=log" in SERVICES["postgres"]["command"]
