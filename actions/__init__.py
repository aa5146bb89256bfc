"""What the model writes, read and judged: pure functions from text and configuration to verdicts and decisions.

In the order of a turn: `prompt_pack` tells the model what it may ask for, `stream_filter` keeps unfinished actions from
the customer's eyes, `reading` finds the verdict, `gates` and `confirmation` decide whether it is done. No I/O.
"""
