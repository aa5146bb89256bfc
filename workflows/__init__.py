"""What is durable: the conversation and the sweep. Deterministic; everything else is an activity."""
