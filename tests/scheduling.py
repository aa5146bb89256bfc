"""Which worker of pytest-xdist gets which tests, and which begin first.

A module stays together, for its tests share what its fixtures made. Those that start the whole program stay together
too, so that one of them runs at a time: each is six processes. So do those that read the whole project: it is parsed
once. xdist's own way to say so, its groups, does nothing with pytest 9.2 (it changes a `_nodeid` that is not read any
more).
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

WHOLE_PROGRAM = "tests/system/"
WHOLE_PROJECT = ("tests/unit/test_clock_rule.py", "tests/unit/test_shifted.py", "tests/unit/test_waiting_rule.py")
_FIRST = (WHOLE_PROGRAM, "tests/model/", *WHOLE_PROJECT)
"""What takes long, most of it waiting: at the end, others would wait for it with nothing to do."""


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """_FIRST, then modules that talk to servers or start processes; those that only compute fill the end."""
    with_processes = {item.path for item in items if item.get_closest_marker("processes")}

    def rank(item: pytest.Item) -> int:
        first = (number for number, place in enumerate(_FIRST) if item.nodeid.startswith(place))
        return next(first, len(_FIRST) + (item.path not in with_processes))

    return sorted(items, key=rank)


class ByModule(LoadScopeScheduling):
    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # in the order of collection, not the largest number of tests first
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        """The name of what stays together."""
        if nodeid.startswith(WHOLE_PROGRAM):
            return WHOLE_PROGRAM
        return WHOLE_PROJECT[0] if nodeid.startswith(WHOLE_PROJECT) else nodeid.partition("::")[0]
