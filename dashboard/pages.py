"""What all pages of the dashboard are made of: its templates, its prefix, and who looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from dashboard.headers import PAGE_HEADERS
from schemas.access import Person, Right

PATH = "/dashboard"
HERE = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(default=True), trim_blocks=True
)


def html(
    template: str, values: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None
) -> HTMLResponse:
    shown = _TEMPLATES.get_template(template).render(values)
    return HTMLResponse(shown, status, PAGE_HEADERS | (headers or {}))


def page(request: Request, template: str, **values: Any) -> HTMLResponse:
    """For somebody who is signed in; they are named on it, and its forms hold their token."""
    return html(template, {"person": person_of(request), "veiled": is_veiled(request), **values})


def is_veiled(request: Request) -> bool:
    """Whether they may not see raw outputs."""
    return bool(request.state.right is Right.VEILED)


def person_of(request: Request) -> Person:
    """As `api/authentication.py` found them."""
    person: Person = request.state.person
    return person
