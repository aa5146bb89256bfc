"""The first code of every `agent …`: makes the process ours before anything else of ours is imported.

`launch`, `config` and `api` are names that other people's folders have too, and PYTHONPATH is searched before ours. So
this module alone is found by its unique name; it starts Python anew without other people's PYTHON… variables where
there are any, puts our root first, and then imports the commands.
"""

from __future__ import annotations

import os
import sys

from perplexity_agent.ends import begin, end_when_asked, leave
from perplexity_agent.streams import open_what_is_closed, stopped_by_full_output

_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def main() -> None:
    """Runs the command that the arguments name; what nobody foresaw ends it with one line."""
    open_what_is_closed()
    end_when_asked()
    sys.path.insert(0, _ROOT)
    from config.environment import for_python, prepare

    if (environment := for_python(os.environ)) is not None:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    prepare(os.environ)
    from cli.crashes import told_in_one_line
    from cli.main import app

    begin()
    try:
        with told_in_one_line(), stopped_by_full_output():
            app()
    except SystemExit as end:
        leave(end.code)
