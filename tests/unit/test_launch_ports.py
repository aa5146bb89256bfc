"""Default ports give way, set ones do not, and two launchers never choose the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import combinations
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


PORTS = ["port", "temporal_port", "temporal_ui_port", "worker_metrics_port", "worker_counters_port"]


@pytest.mark.parametrize(("first", "second"), list(combinations(PORTS, 2)))
def test_one_port_for_two_is_told_with_both_names(first: str, second: str) -> None:
    with (
        pytest.raises(LaunchError, match=f"^{second.upper()}: got 18999, as {first.upper()} did; give each"),
        claimed_ports(settings(**{first: 18_999, second: 18_999})),
    ):
        pass


def test_a_default_gives_way_to_a_port_of_the_workers_metrics() -> None:
    with claimed_ports(settings()) as ports:
        otherwise_for_api = ports.api

    with claimed_ports(settings(worker_counters_port=otherwise_for_api)) as ports:
        assert ports.api > otherwise_for_api


def test_ports_that_are_not_shown_are_no_pair() -> None:
    with claimed_ports(settings(worker_metrics_port=0, worker_counters_port=0)):
        pass


def test_ports_of_a_temporal_that_is_somebody_elses_are_not_looked_at(taken: int) -> None:
    theirs = {"temporal_address": f"127.0.0.1:{taken}", "temporal_port": taken, "temporal_ui_port": taken}

    with claimed_ports(Settings(_env_file=None, **theirs)):  # type: ignore[call-arg, arg-type]
        pass
