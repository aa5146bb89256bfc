"""Who calls: `Authorization: Bearer <key>`, looked up by its hash and remembered for API_KEY_CACHE_SECONDS."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.problems import ProblemError
from api.services import Serving
from storage.api_keys import ApiKey

_bearer = HTTPBearer(auto_error=False, description="An API key: printed at the first start, or `agent key add NAME`")


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


async def caller(services: Serving, credentials: Credentials) -> ApiKey:
    """The key that a call came with. Raises 401."""
    key = credentials.credentials if credentials else ""
    found = await services.known_keys.find(key) if key.isascii() and 0 < len(key) <= 200 else None
    if found is None:
        raise ProblemError(
            401, "Send a valid API key: Authorization: Bearer <key>.", headers={"WWW-Authenticate": "Bearer"}
        )
    return found


Caller = Annotated[ApiKey, Depends(caller)]
