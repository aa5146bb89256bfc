"""Default ports give way, set ones do not, and two launchers never choose the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import Settings
from launch.failures import LaunchError
from launch.ports import claimed_ports


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_set_port_that_is_taken_is_an_error_that_names_it(taken: int) -> None:
    with pytest.raises(LaunchError, match=f"^PORT: port {taken} is taken"), claimed_ports(settings(port=taken)):
        pass


def test_a_default_port_that_is_taken_gives_way() -> None:
    with claimed_ports(settings()) as first, claimed_ports(settings()) as second:
        chosen = [getattr(ports, name) for ports in (first, second) for name in ("api", "temporal", "temporal_ui")]

    assert len(set(chosen)) == 6
    assert second.api > first.api


def test_a_set_port_wins_over_a_default_of_another_part() -> None:
    with claimed_ports(settings()) as ports:
        otherwise_for_api = ports.api

    with claimed_ports(settings(temporal_ui_port=otherwise_for_api)) as ports:
        assert ports.temporal_ui == otherwise_for_api
        assert ports.api > otherwise_for_api


def test_a_claim_ends_with_its_block() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with claimed_ports(settings(port=port)), pytest.raises(LaunchError), claimed_ports(settings(port=port)):
        pass

    with claimed_ports(settings(port=port)) as ports:
        assert ports.api == port
