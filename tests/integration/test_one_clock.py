"""Days pass in milliseconds: the statements follow the clock that the process was given."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from storage.database import Database
from tests.servers import fresh_database
from tests.support.clock import MovableClock


async def test_statements_follow_the_process_s_clock(postgres_url: str) -> None:
    clock, url = MovableClock(), await fresh_database(postgres_url, f"clock_{uuid4().hex}")
    database, real = Database(url, now=clock), Database(url)

    async def told(by: Database) -> datetime:
        row = await by.row("SELECT agent_now() AS now")
        assert row is not None
        return datetime.fromisoformat(str(row["now"]))

    before = await told(database)
    clock.ahead = timedelta(days=3)
    after = await told(database)
    async with database.transaction() as transaction:
        (within,) = await transaction.rows("SELECT agent_now() AS now")

    assert after - before >= timedelta(days=3)
    assert within["now"] >= after
    assert await told(real) < after
    await database.close()
    await real.close()
