"""Variables that libraries of ours read, and that would end a process with words of theirs: looked at first."""

from __future__ import annotations

import os
import re
import ssl
import stat
import tempfile
from collections.abc import Mapping

from config.refusals import shortened

_THREADS = "TOKIO_WORKER_THREADS"
_METRICS = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
_MOST_THREADS = 32_768
"""More than tokio takes."""


def trouble_with_libraries(environment: Mapping[str, str]) -> str | None:
    """One line for the first variable that cannot be used: certificates (OpenSSL), threads (Temporal's SDK)."""
    checks = (_log_of_keys, _certificates, _folder_of_certificates, _threads)
    return next(filter(None, (check(environment) for check in checks)), None)


def trouble_with_metrics(environment: Mapping[str, str]) -> str | None:
    """The same for the folder of counters, which `agent run` sets for its parts itself."""
    for name in _METRICS:
        if (value := environment.get(name)) is None:
            continue
        try:
            with tempfile.TemporaryFile(dir=value or "."):
                pass
        except (OSError, ValueError):
            return _line(name, value, "a folder that is there and can be written to")
    return None


def _log_of_keys(environment: Mapping[str, str]) -> str | None:
    """For somebody who watches the network: each context for TLS opens it."""
    file = environment.get("SSLKEYLOGFILE")
    if not file:
        return None
    try:
        if _is_pipe(file):
            raise ValueError
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).keylog_filename = file
    except (OSError, ValueError):
        return _line("SSLKEYLOGFILE", file, "a file that can be written to")
    return None


def _certificates(environment: Mapping[str, str]) -> str | None:
    file = environment.get("SSL_CERT_FILE")
    if not file:
        return None
    try:
        if _is_pipe(file):
            raise ValueError
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return _line("SSL_CERT_FILE", file, "a file of certificates (PEM) that is there and can be read")
    return None


def _is_pipe(file: str) -> bool:
    """Whoever opens one may wait for ever. Raises OSError, ValueError."""
    return os.path.exists(file) and stat.S_ISFIFO(os.stat(file).st_mode)


def _folder_of_certificates(environment: Mapping[str, str]) -> str | None:
    folder = environment.get("SSL_CERT_DIR")
    if not folder or any(os.path.isdir(part) for part in folder.split(os.pathsep)):
        return None
    return _line("SSL_CERT_DIR", folder, "a folder of certificates (PEM) that is there")


def _threads(environment: Mapping[str, str]) -> str | None:
    value = environment.get(_THREADS)
    if value is None or (re.fullmatch(r"[0-9]{1,5}", value, re.ASCII) and 0 < int(value) <= _MOST_THREADS):
        return None
    return _line(_THREADS, value, f"a whole number from 1 to {_MOST_THREADS:,}")


def _line(name: str, value: str, wanted: str) -> str:
    return f"{name}: got {shortened(value)}; {wanted}; or unset it"
