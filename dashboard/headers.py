"""What every page is sent with: nothing from elsewhere runs or frames it, and nothing of it is told to others."""

from __future__ import annotations

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with `no-referrer` our own forms would come from nowhere (`Origin: null`)
    "Cache-Control": "no-cache",
}
