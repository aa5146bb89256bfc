"""The front door: parse, verify, store, hand to Temporal, answer."""
