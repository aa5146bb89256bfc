"""What is odd about people's machines, for the tests that start the program there. Imports nothing of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = {
    "signs and letters": '100% bots, "q" $x [é机] #?&=\'s `y`',
    "blanks": " a  b ",
    "percent": "100%(here)s",
    "comma": "a,b",
    "question": "what?",
    "hash": "a#b",
    "quotes": '"it\'s"',
    "brackets": "[a](b){c}",
    "letters": "köln-机器人-עברית",
    "long": "x" * 190,
}

OTHER_TOOLS = {
    "WEB_CONCURRENCY": "4",
    "UVICORN_RELOAD": "1",
    "FORWARDED_ALLOW_IPS": "*",
    "NAME": "laptop",
    "DEBUG": "release",
    "USER": "nobody-here",
    "LOG_LEVEL": "WARNING",
    "PGPORT": "6000",
    "PGSERVICE": "somebody",
    "PGSSLMODE": "verify-full",
    "PGOPTIONS": "-c nonsense=1",
    "PGPASSFILE": "/nonexistent/pgpass",
    "TEMPORAL_PROFILE": "cloud",
    "TEMPORAL_CONFIG_FILE": "/nonexistent/temporal.toml",
    "ALL_PROXY": "socks://127.0.0.1:9/",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
}
"""Each is set by some tool, platform or desktop, and means nothing of ours."""


def foreign_home(folder: Path) -> Path:
    """A home of somebody who uses Temporal Cloud and a PostgreSQL with a service file."""
    configuration = folder / ".config" / "temporalio"
    configuration.mkdir(parents=True)
    lines = ['address = "acme.a1b2c.tmprl.cloud:7233"', 'namespace = "acme.a1b2c"', 'api_key = "not-a-real-key"']
    (configuration / "temporal.toml").write_text("\n".join(["[profile.default]", *lines, ""]))
    (configuration / "temporal.yaml").write_text("env:\n  default:\n    tls-cert-path: /nonexistent/cert.pem\n")
    (folder / ".pg_service.conf").write_text("[somebody]\nhost=/nonexistent\n")
    (folder / ".psqlrc").write_text("\\quit\n")
    return folder


def foreign_modules(folder: Path) -> Path:
    """A folder for PYTHONPATH with modules that are called as ours are."""
    for name in ("launch", "cli"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("class LaunchDescription: ...\n")
    for name in ("config", "api", "sitecustomize", "pydantic"):
        (folder / f"{name}.py").write_text("settings = {}\n")
    return folder


@contextmanager
def under_umask(umask: int) -> Iterator[None]:
    """Whoever is started within inherits it."""
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)
