"""Which worker of pytest-xdist gets which tests.

A module stays together, for its tests share what its fixtures made. Those that start the whole program stay together
too, so that one of them runs at a time: each is six processes. xdist's own way to say so, its groups, does nothing with
pytest 9.2 (it changes a `_nodeid` that is not read any more).
"""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

WHOLE_PROGRAM = "tests/system/"


class ByModule(LoadScopeScheduling):
    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False  # in the order of collection, not the largest number of tests first
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        """The name of what stays together."""
        return WHOLE_PROGRAM if nodeid.startswith(WHOLE_PROGRAM) else nodeid.partition("::")[0]
