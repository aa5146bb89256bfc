"""The API: parse, verify, store, hand to Temporal, answer."""
