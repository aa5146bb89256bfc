"""Makes the adapters from the settings; a composition root calls this and nothing else of the adapters."""

from __future__ import annotations

from config.settings import Settings
from integrations.whatsapp.accounts import META, TWILIO
from integrations.whatsapp.channel import WhatsAppChannel
from integrations.whatsapp.files import MediaLimits
from integrations.whatsapp.meta.client import MetaOptions, MetaWhatsApp
from integrations.whatsapp.port import WhatsAppProvider
from integrations.whatsapp.twilio.client import TwilioOptions, TwilioWhatsApp

META_URL = "https://graph.facebook.com"
TWILIO_URL = "https://api.twilio.com"
TWILIO_WEBHOOK = "/api/webhooks/twilio"
_META_MEDIA_HOSTS = ("lookaside.fbsbx.com", "fbcdn.net")
_TWILIO_MEDIA_HOSTS = ("api.twilio.com", "mcs.us1.twilio.com", "media.twiliocdn.com")


def whatsapp_from(settings: Settings) -> WhatsAppChannel | None:
    """The channel with each provider that is configured, None without any; the caller closes it."""
    made: dict[str, WhatsAppProvider | None] = {META: meta_from(settings), TWILIO: twilio_from(settings)}
    providers = {name: provider for name, provider in made.items() if provider is not None}
    return WhatsAppChannel(providers) if providers else None


def meta_from(settings: Settings) -> MetaWhatsApp | None:
    """The adapter of Meta's Cloud API, None without an access token."""
    if settings.whatsapp_access_token is None:
        return None
    return MetaWhatsApp(
        MetaOptions(
            access_token=settings.whatsapp_access_token,
            graph_url=settings.whatsapp_graph_url or META_URL,
            graph_version=settings.whatsapp_graph_version,
            connect_timeout=settings.channel_connect_timeout_seconds,
            answer_timeout=settings.channel_answer_timeout_seconds,
            connections=settings.channel_connections,
            media=_media(settings, _META_MEDIA_HOSTS),
        )
    )


def twilio_from(settings: Settings) -> TwilioWhatsApp | None:
    """The adapter of Twilio, None without an account. Statuses come only if PUBLIC_URL is set."""
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        return None
    return TwilioWhatsApp(
        TwilioOptions(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token,
            api_url=settings.twilio_api_url or TWILIO_URL,
            status_callback=f"{settings.public_url}{TWILIO_WEBHOOK}" if settings.public_url else None,
            connect_timeout=settings.channel_connect_timeout_seconds,
            answer_timeout=settings.channel_answer_timeout_seconds,
            connections=settings.channel_connections,
            media=_media(settings, _TWILIO_MEDIA_HOSTS),
        )
    )


def _media(settings: Settings, hosts: tuple[str, ...]) -> MediaLimits:
    return MediaLimits(max_bytes=settings.media_bytes, seconds=settings.media_download_seconds, hosts=hosts)
