"""The migrations make exactly the schema that the code believes in."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from storage.migrate import is_current, upgrade_on
from storage.tables import metadata
from tests.system_in_process import System


async def test_migrations_and_tables_agree(system: System) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with system.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(system: System) -> None:
    await system.send("Hello")

    await upgrade_on(system.settings.database_url or "")

    assert await is_current(system.database)
    assert (await system.session())["turns"] == 1


async def test_words_that_ask_are_found_by_their_action(system: System) -> None:
    """Else each question's end reads all messages there are."""
    async with system.database.transaction() as transaction:
        await transaction.rows("SELECT set_config('enable_seqscan', 'off', true)")
        plan = await transaction.rows("EXPLAIN SELECT 1 FROM messages WHERE meta ->> 'asks' = 'an action'")

    assert "messages_asks_idx" in "".join(str(row) for row in plan)
