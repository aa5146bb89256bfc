"""Contracts shared by every part; imports nothing of the project, does no I/O."""
