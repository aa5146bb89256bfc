"""`make run`: the parts of the system, each a process of its own, started, watched, restarted and stopped together."""
