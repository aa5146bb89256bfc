"""The model: the port, the wrapper's client, and two doubles (in memory, and a simulator on a socket)."""
