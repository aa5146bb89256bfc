"""What a start prints of the services that somebody else runs: their addresses, and nothing of a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings
from launch.addresses import addresses_of, table_of
from launch.keys import find_keys
from launch.ports import claimed_ports
from launch.preflight import trouble_with_wrapper

WRAPPER = "http://ana:hidden@127.0.0.1:9"


def settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder, perplexity_base_url=WRAPPER)  # type: ignore[call-arg]


def test_the_table_shows_the_wrapper_without_its_password(tmp_path: Path) -> None:
    keys = find_keys(own := settings(tmp_path), tmp_path / "secrets.json")
    with claimed_ports(own) as ports:
        addresses = addresses_of(own, ports, keys, "postgresql://db/x")

    shown = table_of(addresses, keys, simulated=False, logs=tmp_path)

    assert "http://…@127.0.0.1:9" in shown
    assert "hidden" not in shown
    assert addresses.perplexity == WRAPPER  # programs need all of it


def test_a_wrapper_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    told = trouble_with_wrapper(settings(tmp_path)) or ""

    assert "no wrapper answers at http://…@127.0.0.1:9 (" in told
    assert "hidden" not in told


@pytest.mark.parametrize(
    ("host", "dashboard"),
    [
        ("127.0.0.1", "http://127.0.0.1:{port}/dashboard/enter?token="),
        ("0.0.0.0", "http://127.0.0.1:{port}/dashboard/enter?token="),
        ("::", "http://[::1]:{port}/dashboard/enter?token="),
        ("192.0.2.7", "http://192.0.2.7:{port}/dashboard/login"),
    ],
)
def test_the_link_is_printed_where_it_can_be_used(tmp_path: Path, host: str, dashboard: str) -> None:
    own = settings(tmp_path)
    keys = find_keys(own, tmp_path / "secrets.json")
    with claimed_ports(own) as ports:
        addresses = addresses_of(own.model_copy(update={"host": host}), ports, keys, "postgresql://db/x")

    shown = table_of(addresses, keys, simulated=False, logs=tmp_path)

    assert addresses.dashboard.startswith(dashboard.format(port=ports.api))
    assert ("(signs in once)" in shown) == ("token" in dashboard)
