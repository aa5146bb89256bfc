"""What a turn does between its claim and its commit, in order:

1. `presence`      the customer sees that their message was read and is being answered
2. `prompt`        what is put to the model: words, pack, recap, cut to the request line
3. `model_calls`   a slot of the account, then the question
4. `streaming`     the text as it is written, for who watches
5. `interruption`  the question is dropped, for it is out of date
6. `failures`      the question got no answer: recorded, and tried again or not
7. `decision`      what the messages, or the output, come to: one of a closed set
8. `outcomes`      from the committed turn to what the workflow is told
9. `telemetry`     one line and the metrics for each attempt that ends

`activities/turn.py` runs them. None knows Temporal's workflow, an adapter, or another activity.
"""
