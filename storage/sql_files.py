"""The database's functions, views and triggers: `storage/sql/`, each once, in the text that is in force.

A migration makes or changes tables; once all that are missing have run, `storage.migrate` puts every file here in
force, so a new database and an old one end with the same texts. To change a function, edit it where it stands and add
a migration that says so (its `upgrade` may be empty): by its revision a database of before is known to be behind. What
CREATE OR REPLACE cannot do, that migration begins: a function whose arguments or results are others now, a view whose
columns are, and whatever is no more, it drops (`DROP … IF EXISTS`: a new database does not have it yet). A migration
that calls a function of ours puts its file in force first, as the baseline does with the clock.

A view or a trigger stands below the functions that it names, in its file or in one earlier in the alphabet.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import AdaptedConnection, Connection

FOLDER = Path(__file__).with_name("sql")


def put_in_force(connection: Connection) -> None:
    """All of FOLDER, twice: PostgreSQL reads what a body names only once everything is there."""
    for checked in ("off", "on"):
        connection.exec_driver_sql(f"SET LOCAL check_function_bodies = {checked}")
        for path in sorted(FOLDER.glob("*.sql")):
            _execute(connection, path)


def execute_file(path: str | Path) -> None:
    """All of *path*, or of the file called like it with the suffix .sql, in the migration that runs."""
    _execute(op.get_bind(), Path(path).with_suffix(".sql"))


def _execute(connection: Connection, path: Path) -> None:
    """By the driver itself, which alone takes many statements at once."""
    adapted = connection.connection.dbapi_connection
    assert isinstance(adapted, AdaptedConnection)
    statements = path.read_text(encoding="utf-8")
    adapted.run_async(lambda driver: driver.execute(statements))
