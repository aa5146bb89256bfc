"""Files of TLS that the database's driver and our libraries read: what works for them is not refused, a pipe not waited
for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from config.libraries import trouble_with_libraries
from storage.parameters import wrong_parameter
from tests.support.waiting import LONGEST_SECONDS

ADDRESS = "postgresql://ana@db.internal/x?sslmode=require"


@pytest.fixture
def client(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key, made for this test."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs openssl, to make a certificate")
    certificate, key = tmp_path / "client.crt", tmp_path / "client.key"
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=ana"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *new, *files], check=True, capture_output=True, timeout=LONGEST_SECONDS)
    return certificate, key


@pytest.mark.processes
def test_a_key_that_lies_where_the_driver_looks_for_one(
    client: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = client
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "its file holds none with its key" in str(wrong_parameter(f"{ADDRESS}&sslcert={certificate}"))

    (kept := tmp_path / ".postgresql").mkdir()
    key.rename(kept / "postgresql.key")

    assert wrong_parameter(f"{ADDRESS}&sslcert={certificate}") is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
def test_a_pipe_for_the_database_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")

    told = wrong_parameter(f"{ADDRESS}&{name}={pipe}") or ""

    assert told.startswith(f"the parameter {name} of the address cannot be used: its file cannot be read (no file)")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSLKEYLOGFILE"])
def test_a_pipe_for_a_library_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")

    assert f"{name}: got '{pipe}'; a file " in str(trouble_with_libraries({name: str(pipe)}))
