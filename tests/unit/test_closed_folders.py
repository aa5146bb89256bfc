"""What lies below a folder that is closed to this user is refused by the name of its setting, as what is not there is:
asked as an ordinary user, for root is kept from no file."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

import pytest

from tests.support.waiting import LONGEST_SECONDS

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root becomes another user"),
]

_AS_ANOTHER = """
import encodings.idna, json, os, sys
from pathlib import Path
from cli.doctor import _disk, _folder
from config.libraries import trouble_with_libraries, trouble_with_metrics
from config.settings import Settings, SettingsError, load_settings
from launch.failures import LaunchError
from launch.folder import check_media_folder, locked_folder
from storage.parameters import wrong_parameter

def setting(name):
    os.environ[name] = below
    try:
        return load_settings()
    except SettingsError as error:
        return error
    finally:
        del os.environ[name]

def parameter(name):
    return wrong_parameter(f"postgresql://ana@db.internal/x?sslmode=require&{name}={below}")

def folder(settings, check):
    try:
        with check(settings) as found:
            return found
    except LaunchError as error:
        return error

uid, below = int(sys.argv[1]), sys.argv[2]
settings = Settings(_env_file=None, data_dir=Path(below) / "data")
os.chdir("/")
os.setuid(uid)
told = {name: setting(name) for name in ("TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY", "TEMPORAL_TLS_CA")}
told |= {name: parameter(name) for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl")}
told |= {name: trouble_with_libraries({name: below}) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")}
told["PROMETHEUS_MULTIPROC_DIR"] = trouble_with_metrics({"PROMETHEUS_MULTIPROC_DIR": below})
told["DATA_DIR"] = folder(settings, locked_folder)
told["MEDIA_DIR"] = folder(Path(below), check_media_folder)
told["doctor"] = _folder("DATA_DIR", Path(below) / "data").text
_disk(settings)
print(json.dumps({name: str(line) for name, line in told.items()}))
"""
"""Imports first: the interpreter here may lie in root's closed home."""

_NOT_READABLE = "a file that is there and that this user can read"
_WORDS = {
    **dict.fromkeys(["TEMPORAL_TLS_CERT", "TEMPORAL_TLS_KEY", "TEMPORAL_TLS_CA"], _NOT_READABLE),
    **dict.fromkeys(["sslrootcert", "sslcert", "sslkey", "sslcrl"], "its file cannot be read (Permission denied)"),
    "SSL_CERT_FILE": "that is there and can be read",
    "SSL_CERT_DIR": "that is there",
    "SSLKEYLOGFILE": "a file that can be written to",
    "PROMETHEUS_MULTIPROC_DIR": "that is there and can be written to",
    "DATA_DIR": "cannot be written to (Permission denied); set it to a folder that can",
    "MEDIA_DIR": "cannot be written to (Permission denied); set it to a folder that can",
    "doctor": "cannot be written to (Permission denied); set it to a folder that can",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """By setting, what is said of a file of PEM's below a closed folder."""
    (closed := tmp_path_factory.mktemp("closed")).chmod(0o700)
    (file := closed / "inside" / "file").parent.mkdir(mode=0o755)
    file.touch(mode=0o644)
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    command = [sys.executable, "-c", _AS_ANOTHER, nobody, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", _WORDS)
def test_what_lies_below_a_closed_folder_is_named(told: dict[str, str], name: str) -> None:
    line = told[name]

    assert line.startswith("/") if name == "doctor" else name in line
    assert _WORDS[name] in line
    assert len(line.splitlines()) == 1
