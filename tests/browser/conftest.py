"""How long a page may take in a browser of the tests: much longer than it does, for machines are busy."""

from __future__ import annotations

from playwright.async_api import expect

PAGE_SECONDS = 30

expect.set_options(timeout=PAGE_SECONDS * 1_000)
