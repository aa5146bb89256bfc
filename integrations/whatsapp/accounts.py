"""Our numbers on WhatsApp by name: Meta's phone number id alone, any other provider's number behind its name.

`106540352242922` is a number at Meta, `twilio:15550009999` one at Twilio. The name is what conversations keep and what
an assistant's `accounts` list, so a reply leaves by the provider that its customer's message came by.
"""

from __future__ import annotations

from schemas.channels import PROVIDERS

META, TWILIO = PROVIDERS


def account_name(provider: str, number: str) -> str:
    """The name of the number *number* at *provider*."""
    return number if provider == META else f"{provider}:{number}"


def read_account(name: str) -> tuple[str, str]:
    """Provider and number of an account's name."""
    provider, colon, number = name.rpartition(":")
    return (provider, number) if colon else (META, name)
