"""Temporal as a service we call: the connection, and conversations as others see them."""
