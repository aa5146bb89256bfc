"""WhatsApp: the port in our words, its two real adapters (Meta's Cloud API, Twilio), a double and a local stand-in."""
