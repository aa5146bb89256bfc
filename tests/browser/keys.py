"""Keys as browsers send them, made by hand."""

from __future__ import annotations

from playwright.async_api import Page, expect

SAFARI_ENTER = """node => { node.dispatchEvent(new CompositionEvent('compositionend', {data: 'x', bubbles: true}));
  node.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, bubbles: true, cancelable: true})); }"""


async def send_nothing_by(pressed: str, page: Page, box: str) -> None:
    """Writes into *box* and presses; the words stay there."""
    posted: list[str] = []
    page.on("request", lambda asked: posted.append(asked.url) if asked.method == "POST" else None)
    field = page.get_by_label(box, exact=True)
    await field.fill("\u306b\u307b\u3093\u3054")

    await field.evaluate(pressed)

    await expect(field).to_have_value("\u306b\u307b\u3093\u3054")
    assert posted == []
