"""Parameters of DATABASE_URL that cannot be used are named, each with what to do and without a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.parameters import wrong_parameter

ADDRESS = "postgresql://ana:hidden@db.internal:5432/x"


@pytest.fixture
def text(tmp_path: Path) -> str:
    """A file that is no PEM."""
    (path := tmp_path / "text").write_text("hidden")
    return str(path)


@pytest.mark.parametrize(
    ("parameters", "name", "why"),
    [
        ("sslmode=nonsense", "sslmode", "set it to disable, allow, prefer, require, verify-ca or verify-full"),
        ("target_session_attrs=x", "target_session_attrs", "set it to any, primary"),
        ("ssl_min_protocol_version=TLSv9", "ssl_min_protocol_version", "set it to TLSv1"),
        ("sslmode=verify-full&sslrootcert=/", "sslrootcert", "its file cannot be read (Is a directory)"),
        ("sslmode=require&sslrootcert=/no/x.pem", "sslrootcert", "its file cannot be read (No such file or directory)"),
        ("sslmode=verify-ca&sslrootcert=TEXT", "sslrootcert", "its file holds none; name a file that holds"),
        ("sslmode=require&sslcert=TEXT&sslkey=TEXT", "sslcert", "its file holds none with its key"),
        ("sslmode=prefer&sslcert=%00", "sslcert", "its file cannot be read"),
        ("sslkey=/", "sslkey", "its file cannot be read (Is a directory)"),
        ("sslmode=require&sslcrl=TEXT", "sslcrl", "its file holds none"),
    ],
)
def test_a_parameter_that_cannot_be_used(parameters: str, name: str, why: str, text: str) -> None:
    line = wrong_parameter(f"{ADDRESS}?{parameters.replace('TEXT', text)}") or ""

    assert line.startswith(f"the parameter {name} of the address cannot be used: {why}")
    assert "hidden" not in line
    assert text not in line


@pytest.mark.parametrize("host", ["a..b", "db.internal,a..b:5432", f"{'x' * 64}.internal", ".db"])
def test_a_host_that_is_no_name(host: str) -> None:
    assert (wrong_parameter(f"postgresql://ana@{host}/x") or "").startswith("the host of the address is no name: ")


@pytest.mark.parametrize(
    "address",
    [
        f"{ADDRESS}?sslmode=verify_full",
        f"{ADDRESS}?sslmode=disable&sslrootcert=/nowhere",
        f"{ADDRESS}?sslrootcert=/nowhere",
        "postgresql:///x?host=/run/postgresql",
        "postgresql://[::1]:5432/x",
        "postgresql://ana@db.internal.,10.0.0.1:5433/x?target_session_attrs=read-write",
        "postgresql://ana@bücher.example/x",
    ],
)
def test_what_can_be_used_is_left_alone(address: str) -> None:
    assert wrong_parameter(address) is None
