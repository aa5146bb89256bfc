"""What a turn does between its claim and its commit, in order:

1. `decision`      what the messages come to by themselves, if they do: one of a closed set
2. `prompt`        what is put to the model: words, pack, recap, cut to the request line
3. `presence`      the customer sees that their message was read and is being answered
4. `model_calls`   the prompt is put, in a slot of the account, for as long as its answer is wanted; the output, read
5. `streaming`     the text as it is written, for who watches
6. `failures`      the model call brought no answer, or was dropped: recorded, and tried again or not
7. `decision`      what the output comes to: of the same set
8. `telemetry`     one line and the metrics for each attempt that ends

`activities/turn.py` runs them; `worker/app.py` makes and injects those that hold something (2, 3, 4 and 6), the others
are called. None imports a workflow, an adapter, or an activity.
"""
