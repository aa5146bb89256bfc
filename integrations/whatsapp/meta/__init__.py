"""Meta's Cloud API: signature, webhook, client. None of its shapes leaves this folder."""
