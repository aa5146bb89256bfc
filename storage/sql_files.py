"""The database's functions, views and triggers: `storage/sql/`, each once, in the text that is in force.

They are *repeatable migrations*: `agent migrate` runs the migrations that are missing, then puts in force each file
whose text is another than the one noted in `texts_in_force` (or of which something was dropped). So a new database and
an old one end with the same texts, and to change a function is to edit it where it stands: it needs no migration. What
a file defined and defines no more is dropped, a function of other arguments included. What else CREATE OR REPLACE
cannot do, a migration begins: a function whose results are others now, a view whose columns are, it drops
(`DROP … IF EXISTS`). A migration that calls a function of ours executes its file first, as the baseline does with the
clock.

Functions stand in the folder itself, views and triggers below it. To put a function in force locks no table and no
view, so it may be done beside running processes; a view's file locks the view, a trigger's the table that it is named
after. `storage/sql/README.md` says which functions call which.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from sqlalchemy import AdaptedConnection, Connection, delete, insert, select, text

from storage.tables.texts import texts_in_force

FOLDER = Path(__file__).with_name("sql")
_FOLDERS = (FOLDER, FOLDER / "views", FOLDER / "triggers")
"""In this order: a view names functions, a trigger has one."""

_DEFINITION = re.compile(r"^CREATE OR REPLACE (FUNCTION|VIEW|TRIGGER) (\w+)", re.M)

_PRESENT = text("""
SELECT defined, what, written = pg_current_xact_id()::xid AS just_written FROM (
    SELECT 'FUNCTION ' || proname AS defined, 'FUNCTION ' || oid::regprocedure AS what, xmin AS written
      FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
    UNION ALL
    SELECT 'VIEW ' || relname, 'VIEW ' || oid::regclass, xmin
      FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'v'
    UNION ALL
    SELECT 'TRIGGER ' || tgname, format('TRIGGER %I ON %s', tgname, tgrelid::regclass), xmin
      FROM pg_trigger WHERE NOT tgisinternal
) AS present ORDER BY what LIKE 'FUNCTION %', what LIKE 'VIEW %'
""")
"""All there is, in an order in which it can be dropped. What this transaction made or replaced has its id."""


@dataclass(frozen=True)
class SqlFile:
    """*defines*: the kind and the name of each thing that the file makes."""

    path: Path
    digest: str
    defines: frozenset[str]


@cache
def sql_files() -> Mapping[str, SqlFile]:
    """Each by its path below FOLDER."""
    paths = [path for folder in _FOLDERS for path in sorted(folder.glob("*.sql"))]
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> SqlFile:
    content = path.read_bytes()
    defines = frozenset(f"{kind} {name}" for kind, name in _DEFINITION.findall(content.decode()))
    return SqlFile(path, sha256(content).hexdigest(), defines)


def put_in_force(connection: Connection) -> None:
    """Brings the functions, views and triggers to the texts of FOLDER; does nothing where they are in force."""
    noted = {row.file: row for row in connection.execute(select(texts_in_force))}
    present = {row.defined for row in connection.execute(_PRESENT)}
    files = sql_files()
    kept = {
        name
        for name, file in files.items()
        if name in noted and noted[name].digest == file.digest and file.defines <= present
    }
    if kept == files.keys() == noted.keys():
        return
    changed = [file for name, file in files.items() if name not in kept]
    before = {each for name in noted.keys() - kept for each in noted[name].defines}
    _replace(connection, changed, before.union(*(file.defines for file in changed)))
    connection.execute(delete(texts_in_force))
    rows = [{"file": name, "digest": file.digest, "defines": sorted(file.defines)} for name, file in files.items()]
    connection.execute(insert(texts_in_force), rows)


def _replace(connection: Connection, files: Sequence[SqlFile], of_these: Collection[str]) -> None:
    """What *files* do not make of what they made before is dropped. PostgreSQL reads what the body of a function names
    once everything is there."""
    connection.exec_driver_sql("SET LOCAL check_function_bodies = off")
    for file in files:
        execute_file(connection, file.path)
    for thing in connection.execute(_PRESENT).all():
        if thing.defined in of_these and not thing.just_written:
            connection.exec_driver_sql(f"DROP {thing.what}")
    connection.exec_driver_sql("SET LOCAL check_function_bodies = on")
    for file in files:
        if file.path.parent == FOLDER:
            execute_file(connection, file.path)


def execute_file(connection: Connection, path: Path) -> None:
    """By the driver itself, which alone takes many statements at once."""
    adapted = connection.connection.dbapi_connection
    assert isinstance(adapted, AdaptedConnection)
    statements = path.read_text(encoding="utf-8")
    adapted.run_async(lambda driver: driver.execute(statements))
