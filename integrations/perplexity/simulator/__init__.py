"""A stand-in for the Perplexity wrapper: its endpoints, shapes and failures; scripted answers, no model."""
