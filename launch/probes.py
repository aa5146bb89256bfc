"""One HTTP question to a part on this machine, past any proxy of the environment."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from launch.deadlines import in_time

_SECONDS = 5.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url: str) -> bool:
    """Whether GET *url* gives 200."""
    return _get(url)[0] == 200


def ask(url: str, token: str) -> dict[str, Any]:
    """The JSON object that GET *url* gives to who has *token*, with whatever status; empty if it gives none."""
    try:
        content = json.loads(_get(url, token)[1])
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _get(url: str, token: str | None = None) -> tuple[int, bytes]:
    """Status and content; 0 if nobody answers, or not within _SECONDS."""
    try:
        return in_time(lambda: _whole(url, token), _SECONDS)
    except (http.client.HTTPException, OSError):
        return 0, b""


def _whole(url: str, token: str | None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with _DIRECT.open(request, timeout=_SECONDS) as answer:
            return answer.status, bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, bytes(error.read())
