"""Peers that drip bytes hold nobody longer than a deadline."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from config.settings import Settings
from launch.deadlines import in_time
from launch.preflight import trouble_with_wrapper
from launch.probes import answers
from tests.dripping import dripping_server


@pytest.fixture
def url() -> Iterator[str]:
    with dripping_server() as port:
        yield f"http://127.0.0.1:{port}"


def test_what_work_returns_or_raises() -> None:
    assert in_time(lambda: 7, 5) == 7
    with pytest.raises(KeyError):
        in_time(lambda: {}["x"], 5)


@pytest.mark.timeout(20)
def test_a_wrapper_that_drips_is_told(url: str) -> None:
    settings = Settings(_env_file=None, perplexity_base_url=url, perplexity_connect_timeout_seconds=0.5)  # type: ignore[call-arg]

    assert "no whole answer within 0.5 s" in str(trouble_with_wrapper(settings))


@pytest.fixture
def held_up() -> Iterator[None]:
    """This thread, as on a busy machine: at 0.3 s something else has the processor, and for as long as 0.6 s."""
    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: threading.Event().wait(0.6))
    timer = threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
    timer.start()
    yield
    timer.join(5)
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.timeout(20)
def test_one_limit_alone_decides_what_is_told_of_a_silent_wrapper(held_up: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = Settings(_env_file=None, perplexity_base_url=url, perplexity_connect_timeout_seconds=0.5)  # type: ignore[call-arg]

        assert "no whole answer within 0.5 s" in str(trouble_with_wrapper(settings))


@pytest.mark.timeout(20)
def test_a_probe_ends(url: str) -> None:
    began = time.monotonic()

    assert not answers(url)
    assert time.monotonic() - began < 10
