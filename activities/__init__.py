"""What Temporal runs, each repeatable at any moment: it reads how far things have come, and goes on from there.

`turn`, `actions`, `delivery`, `files`, `conversation`, `merge` and `sweep` hold the activities. What several of them
use stands beside: `heartbeat` tells Temporal that one lives, `assistants` has the configurations, `expiry` ends
questions. An action is done by its handler in `action_handlers`, which may look it up (`looking_up`). The steps of a
turn are in `turn_steps/`, in order. Model, channels and endpoints are reached through their ports; who wakes another
conversation knows `integrations.temporal`.
"""
