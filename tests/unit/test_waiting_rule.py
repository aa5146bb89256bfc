"""No test waits in silence, for ever or for long; and the check that says so sees each form of doing it."""

from __future__ import annotations

import pytest

from tests.support.sources import modules_of_tests
from tests.support.waiting_rule import breaches, breaches_of

LOOPS = [
    "import asyncio\nasync def test():\n    while not done():\n        await asyncio.sleep(0.01)",
    "import time\nwhile True:\n    if done(): break\n    time.sleep(1)",
    "from time import sleep\nwhile not done(): sleep(1)",
    "from asyncio import sleep as pause\nasync def test():\n    while True: await pause(1)",
    "import time\nfor _ in range(100):\n    if done(): break\n    time.sleep(1)",
    "import time\ndef test():\n    for _ in range(100):\n        if done(): return\n        time.sleep(1)",
    "while not done():\n    event.wait(0.1)",
    "while not done(): pass",
    "import select\nwhile not select.select([f], [], [], 1)[0]: pass",
    "while not event.wait(0.1): pass",
    "async def test(page):\n    while not await page.query_selector('b'): await page.wait_for_timeout(100)",
]
ENDLESS = [
    "async def test(event): await event.wait()",
    "process.wait()",
    "thread.join()",
    "process.communicate()",
    "async def test(handle): await handle.result()",
    "future.result()",
    "async def hang(event): await event.wait()",
    "process.wait(None)",
    "process.wait(timeout=None)",
    "lock.acquire()",
    "async def test(queue): await queue.get()",
    "import asyncio\nasync def test(): await asyncio.wait([task])",
    "import asyncio\nasync def test(): await asyncio.wait([task], return_when=asyncio.FIRST_COMPLETED)",
    "import subprocess\nsubprocess.run(command)",
    "from subprocess import check_output\ncheck_output(command, timeout=None)",
]
SILENT = [
    "import asyncio\nasync def test():\n    async with asyncio.timeout(5): await event.wait(5)",
    "import asyncio\nasync def test(): await asyncio.wait_for(task, 5)",
    "from asyncio import wait_for\nasync def test(): await wait_for(task, 5)",
]
LONG = [
    "process.wait(60)",
    "future.result(120)",
    "subprocess.run(command, timeout=60)",
    "httpx2.get(url, timeout=31)",
    "from tests.support.waiting import until\nasync def test(): await until('x', look, seconds=45)",
    "process.wait(timeout=2 * 60)",
    "LONG = 600\nprocess.wait(timeout=LONG)",
    "MINUTE: float = 60.0\nLONG = MINUTE * 10\nprocess.wait(LONG)",
    "from tests.support.waiting import LONGEST_SECONDS\nprocess.wait(LONGEST_SECONDS + 1)",
    "from tests.support import waiting\nprocess.wait(waiting.LONGEST_SECONDS * 2)",
    "from tests.support.waiting import START_SECONDS\nlook(seconds=START_SECONDS * 10)",
    "import time\ndef test(): time.sleep(100)",
    "import asyncio\nasync def test(): await asyncio.sleep(25)",
    "import asyncio\nPAUSE_SECONDS = 4\nasync def test(): await asyncio.sleep(PAUSE_SECONDS)",
]
RIGHT = [
    "from tests.support.waiting import until\nasync def test(): await until('a reply', lambda: got)",
    "from tests.support.waiting import within\nasync def test(): await within('an end', event.wait(), lambda: got)",
    "process.wait(30)",
    "from tests.support.waiting import START_SECONDS, LONGEST_SECONDS\nf(timeout=START_SECONDS)\ng(LONGEST_SECONDS)",
    "import subprocess\nsubprocess.run(command, timeout=20)\nsubprocess.run(command, **options)",
    "import asyncio\nasync def test(): await asyncio.wait([task], timeout=1)",
    "from datetime import timedelta\ndue = timedelta(seconds=600)",
    "value = variable.get()\nasync def test(http): await http.get('/x')",
    "','.join(words)",
    "import asyncio\nasync def test():\n    for w in words:\n        await say(w)\n        await asyncio.sleep(1)",
    "import pytest\npytestmark = [pytest.mark.chaos, pytest.mark.timeout(420)]",
]


def test_no_test_waits_in_silence_or_for_long() -> None:
    assert [breach for module in modules_of_tests() for breach in breaches(module)] == []


@pytest.mark.parametrize("source", [*LOOPS, *ENDLESS, *SILENT, *LONG])
def test_each_way_of_waiting_beside_the_helper_is_seen(source: str) -> None:
    assert len(breaches_of(source)) == 1


@pytest.mark.parametrize("source", RIGHT)
def test_what_waits_as_it_should_is_left_alone(source: str) -> None:
    assert breaches_of(source) == []
