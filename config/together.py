"""Settings that need each other: what can never work with one of them alone is told at the start, in one line."""

from __future__ import annotations

from config.settings import Settings

_OF_SOMEBODYS_TEMPORAL = ("temporal_api_key", "temporal_tls_cert", "temporal_tls_key", "temporal_tls_ca")
_OF_METAS_ACCOUNT = ("whatsapp_access_token", "whatsapp_app_secret", "whatsapp_verify_token")
_ONLY_WITH_METAS_ACCOUNT = ("whatsapp_phone_number_id",)
_OF_TWILIOS_ACCOUNT = ("twilio_account_sid", "twilio_auth_token")
_OF_THE_FIRST_ADMINISTRATOR = ("admin_email", "admin_password")
_OF_A_CERTIFICATE = ("temporal_tls_cert", "temporal_tls_key")


def half_set(settings: Settings) -> str | None:
    """One line that names what is set and what it lacks."""
    return (
        _temporal(settings)
        or _meta(settings)
        or _together(settings, _OF_TWILIOS_ACCOUNT, "Twilio")
        or _together(settings, _OF_THE_FIRST_ADMINISTRATOR, "the first administrator")
    )


def _temporal(settings: Settings) -> str | None:
    """The dev server that we start takes neither keys nor TLS."""
    found = _set(settings, _OF_SOMEBODYS_TEMPORAL)
    if found and settings.temporal_address is None:
        return f"{_names(found)}: needs TEMPORAL_ADDRESS, the Temporal that it is for; set that too, or unset it"
    return _together(settings, _OF_A_CERTIFICATE, "a client's certificate")


def _meta(settings: Settings) -> str | None:
    """A phone that was asked for (WHATSAPP_PHONE=1) stands in for the account, and takes what is set of it."""
    if settings.whatsapp_phone and settings.whatsapp_access_token is None:
        return None
    return _together(settings, _OF_METAS_ACCOUNT, "Meta's Cloud API", besides=_ONLY_WITH_METAS_ACCOUNT)


def _together(settings: Settings, names: tuple[str, ...], what: str, besides: tuple[str, ...] = ()) -> str | None:
    found, missing = _set(settings, (*names, *besides)), [name for name in names if getattr(settings, name) is None]
    if not found or not missing:
        return None
    need = "needs" if len(found) == 1 else "need"
    return f"{_names(found)}: {need} {_names(missing)} too, for {what}; set what is missing, or unset all of it"


def _set(settings: Settings, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(settings, name) is not None]


def _names(settings: list[str]) -> str:
    *others, last = (name.upper() for name in settings)
    return f"{', '.join(others)} and {last}" if others else last
