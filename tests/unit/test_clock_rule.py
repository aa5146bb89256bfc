"""No test depends on the calendar; and the check that says so sees each form of doing it."""

from __future__ import annotations

import pytest

from tests.support.clock_rule import breaches, breaches_of
from tests.support.sources import modules_of_tests

READS = [
    "from datetime import datetime; datetime.now()",
    "from datetime import UTC, datetime; datetime.now(UTC)",
    "from datetime import datetime as dt; dt.utcnow()",
    "import datetime; datetime.datetime.now(datetime.UTC)",
    "import datetime as d; d.date.today()",
    "from datetime import date; date.today()",
    "from datetime import datetime; datetime.today()",
    "import time; time.time()",
    "import time as t; t.time_ns()",
    "from time import time; time()",
    "from time import time as clock\ndef test(): return clock()",
    "import time; time.localtime()",
    "import time; time.gmtime()",
    "import time; time.strftime('%Y')",
    "import time; time.ctime()",
    "import time; time.clock_gettime(time.CLOCK_REALTIME)",
    "import time\nfield(default_factory=time.time)",
    "import time\nread = time.time\nread()",
    "from datetime import UTC, datetime\nday = datetime\nday.now(UTC)",
    "from functools import partial\nfrom datetime import UTC, datetime\nnow = partial(datetime.now, UTC)",
    "from email.utils import formatdate; formatdate()",
    "from config.clock import utc_now; utc_now()",
    "import uuid; uuid.uuid1()",
    "from uuid import uuid7; uuid7()",
    "from email.utils import make_msgid; make_msgid()",
    "async def test(c): await c.fetchval('SELECT now()')",
    "async def test(c): await c.fetchval('SELECT current_timestamp')",
    "statement = f'UPDATE {table} SET seen_at = CURRENT_TIMESTAMP'",
    "async def test(page): await page.evaluate('Date.now()')",
    "async def test(page): await page.evaluate('new Date()')",
    "def test():\n    import time\n    return time.time()",
]
HARMLESS = [
    "import time; time.monotonic(); time.perf_counter(); time.sleep(1)",
    "import asyncio; asyncio.get_running_loop().time()",
    "from tests.support.clock import now; now()",
    "from datetime import datetime; datetime.fromisoformat(word); datetime.fromtimestamp(number)",
    "import time; time.gmtime(number); time.strftime('%Y', then)",
    "from email.utils import formatdate; formatdate(number)",
    "policy.now(); question.time()",
    "statement = 'UPDATE actions SET expires_at = agent_now()'",
    "words = 'what is now() in words'; page = 'new Date(given)'",
    "import uuid; uuid.uuid4()",
]
DATES = [
    "stamp = '1763900000'",
    "stamp = b'1763900000'",
    "stamp = 1_763_900_000",
    "stamp = 1763900000.5",
    "stamp = 1763900000123",
    'body = \'{"timestamp": "1763900000"}\'',
    "body = f'{name}: 1763900000'",
    "day = '2026-11-23'",
    "path = f'/api/drift?before=2026-11-23T00:00:00Z'",
    "day = '20261123T090000Z'",
    "day = 'Wed, 25 Nov 2026 09:00:00 GMT'",
    "day = '23/11/2026'",
    "day = '2026/11/23'",
    "day = '20261123'",
    "day = '2026-W48-1'",
    "day = 'Nov 23, 2026'",
    "day = 'November 23 2026'",
    "from datetime import datetime; day = datetime(2026, 11, 23)",
    "YEAR = 2026\nfrom datetime import datetime; day = datetime(YEAR, 11, 23)",
    "from datetime import date; day = date.fromordinal(739_000)",
    "import calendar; seconds = calendar.timegm((2026, 11, 23, 0, 0, 0))",
    "from datetime import date; day = date(year=2026, month=11, day=23)",
    "import datetime as dt; day = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)",
]
NO_DATES = [
    '"""Read on 2026-11-23."""',
    "url = f'{address}/2010-04-01/Accounts'",
    "schema = 'https://json-schema.org/draft/2020-12/schema'",
    "phone, account, number = '15550002222', '106540352242922', 15_550_000_000",
    "challenge, odd = '1158201444', '9999999999'",
    "from datetime import datetime; then = datetime(*numbers)",
]
MEETS = {
    "a fixture": "async def test(system): {}",
    "a fixture of servers": "def servers(postgres_url): {}",
    "the running system": "from tests.system_in_process import running_system\n{}",
    "the running program": "from tests.system.running import Program\n{}",
    "the tests' clock, two imports away": "from tests.whatsapp_bodies import parse\n{}",
    "code that reads the clock": "from activities.turn_steps.telemetry import Accounting\n{}",
    "a child process": "import subprocess\n{}",
}


def test_no_test_depends_on_the_calendar() -> None:
    assert [breach for module in modules_of_tests() for breach in breaches(module)] == []


@pytest.mark.parametrize("source", READS)
def test_each_way_of_reading_the_clock_is_seen(source: str) -> None:
    assert [breach for breach in breaches_of(source) if "reads the clock" in breach]


@pytest.mark.parametrize("source", HARMLESS)
def test_what_reads_no_clock_is_left_alone(source: str) -> None:
    assert breaches_of(source) == []


@pytest.mark.parametrize("date", DATES)
def test_each_form_of_a_fixed_date_is_seen_where_it_could_meet_a_clock(date: str) -> None:
    assert breaches_of(f"import subprocess\n{date}")
    assert breaches_of(f"from integrations.whatsapp.window import is_open\n{date}") == []


@pytest.mark.parametrize("words", NO_DATES)
def test_what_is_no_date_is_left_alone(words: str) -> None:
    assert breaches_of(f"{words}\nimport subprocess") == []


@pytest.mark.parametrize("source", MEETS.values(), ids=MEETS)
def test_each_way_to_a_clock_is_seen(source: str) -> None:
    assert breaches_of(source.format("day = '2026-11-23'"))
    assert breaches_of(source.format("day = 'Monday'")) == []


def test_a_date_is_seen_that_others_take_to_a_clock() -> None:
    (breach,) = breaches_of("DAY = '2026-11-23'", "tests/whatsapp_bodies.py")

    assert "is used by tests/" in breach
