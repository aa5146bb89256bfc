"""Twilio's WhatsApp API: signature, webhook, client. None of its shapes leaves this folder."""
