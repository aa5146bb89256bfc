"""Bodies of webhooks as the channels send them, for the API's own pages."""

from __future__ import annotations

META_EXAMPLE = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "id": "102290129340398",
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "messaging_product": "whatsapp",
                        "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
                        "contacts": [{"profile": {"name": "Ann"}, "wa_id": "16505551234"}],
                        "messages": [
                            {
                                "from": "16505551234",
                                "id": "wamid.HBgL",
                                "timestamp": "1763899200",
                                "type": "text",
                                "text": {"body": "Do you deliver to Penang?"},
                            }
                        ],
                    },
                }
            ],
        }
    ],
}
TWILIO_EXAMPLE = {
    "MessageSid": "SM0123",
    "AccountSid": "AC0123",
    "From": "whatsapp:+16505551234",
    "To": "whatsapp:+15550783881",
    "Body": "Do you deliver to Penang?",
    "NumMedia": "0",
}
