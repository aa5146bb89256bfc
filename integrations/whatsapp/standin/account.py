"""The stand-in's one account: no secrets, for it listens on this machine only and reaches nobody."""

from __future__ import annotations

ACCESS_TOKEN = "standin-token"
PHONE_NUMBER_ID = "106540352242922"
DISPLAY_NUMBER = "15550783881"
