"""Channels that replies are sent over: the port in our own words. WhatsApp's folder implements it."""
