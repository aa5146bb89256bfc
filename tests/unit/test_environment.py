"""Variables of other tools reach neither our processes nor the servers that we start."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.environment import _OF_PYTHON, clean, for_python, for_servers
from config.hosts import through_proxies

OTHERS = {
    "WEB_CONCURRENCY": "4",
    "UVICORN_RELOAD": "1",
    "FORWARDED_ALLOW_IPS": "*",
    "PGPORT": "6000",
    "PGSERVICE": "somebody",
    "PGSSLMODE": "verify-full",
    "REQUEST_METHOD": "GET",
}
OURS = {"PORT": "8123", "HTTPS_PROXY": "http://p:1", "SSL_CERT_FILE": "/x.pem", "HOME": "/home/ana", "TZ": "UTC"}


def test_what_our_libraries_would_take_for_theirs_is_gone() -> None:
    environment = {**OTHERS, **OURS}

    clean(environment)

    assert environment == OURS


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONOPTIMIZE", "PYTHONINSPECT"])
def test_python_starts_anew_without_other_peoples_modules_and_options(name: str) -> None:
    assert for_python({**OURS, name: "x"}) == {**OURS, "PYTHONUTF8": "1"}


def test_make_drops_them_before_the_installation() -> None:
    lines = (Path(__file__).parents[2] / "Makefile").read_text().splitlines()

    dropped = {name for line in lines if line.startswith("unexport ") for name in line.split()[1:]}

    assert set(_OF_PYTHON) - dropped == set()


@pytest.mark.parametrize("name", ["PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHON_VERSION"])
def test_python_does_not_start_anew_for_what_does_no_harm(name: str) -> None:
    assert for_python({"PYTHONUTF8": "1", name: "1"}) is None


def test_servers_get_no_home_no_options_and_no_proxies() -> None:
    others = {**OTHERS, "TEMPORAL_PROFILE": "cloud", "XDG_CONFIG_HOME": "/x", "LD_LIBRARY_PATH": "/x", "GODEBUG": "x"}

    given = for_servers({**others, **OURS, "PATH": "/bin"})

    assert given == {"PATH": "/bin", "TZ": "UTC", "HOME": "/nonexistent", "LC_ALL": "C"}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000",
        "http://127.1.2.3",
        "http://localhost.:1",
        "http://a.localhost",
        "http://[::1]:9",
        "http://0.0.0.0:1",
        "",
    ],
)
def test_this_machine_is_never_called_through_a_proxy(url: str) -> None:
    assert not through_proxies(url)


@pytest.mark.parametrize("url", ["http://wrapper.internal:9000", "http://10.0.0.1", "https://localhost.example.com"])
def test_the_world_is(url: str) -> None:
    assert through_proxies(url)
