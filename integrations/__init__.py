"""The outside world: one folder a service, each a Protocol in our words, its adapters and its double."""
