"""One HTTP question to a part on this machine, past any proxy of the environment."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

_SECONDS = 5.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether GET *url* gives 200."""
    return _get(url)[0] == 200


def ask(url: str) -> dict[str, Any]:
    """The JSON object that GET *url* gives, with whatever status; empty if it gives none."""
    try:
        content = json.loads(_get(url)[1])
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _get(url: str) -> tuple[int, bytes]:
    """Status and content; 0 if nobody answers."""
    try:
        with _DIRECT.open(url, timeout=_SECONDS) as answer:
            return answer.status, bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, bytes(error.read())
    except (http.client.HTTPException, OSError):
        return 0, b""
