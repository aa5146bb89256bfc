"""Local stand-ins of the Graph API and of Twilio, for tests and for trying the channel without any account."""
