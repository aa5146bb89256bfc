"""What Temporal runs, each repeatable at any moment: it reads how far things have come, and goes on from there.

`turn`, `actions`, `delivery`, `files`, `conversation`, `merge` and `sweep` hold the activities; `expiry` is what two of
them do. The steps of a turn are in `turn_steps/`, in order. All use `heartbeat`, `assistants` and `action_handlers`,
and know no adapter.
"""
