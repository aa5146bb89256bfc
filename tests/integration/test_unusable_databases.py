"""A PostgreSQL that cannot be ours is told in its own words; addresses made for other drivers are understood."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import asyncpg
import pytest

from storage.addresses import asyncpg_address
from storage.database import Database, StorageUnavailable
from storage.migrate import upgrade_on
from storage.suitability import DatabaseUnusable, told_as_unusable
from tests.servers import fresh_database
from tests.support.waiting import LONGEST_SECONDS, within

AGENT = Path(sys.executable).with_name("agent")
LIBRARIES_WORDS = ("sqlalche", "asyncpg", "Traceback", "SQL:", "<class")


async def told(url: str) -> str:
    with pytest.raises(DatabaseUnusable) as caught, told_as_unusable():
        await upgrade_on(url, 5)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert not any(word in line for word in LIBRARIES_WORDS), line
    return line


def on(url: str, database: str, user: str = "postgres", **parameters: str) -> str:
    folder = parse_qs(urlsplit(url).query)["host"][0]
    more = "".join(f"&{name}={value}" for name, value in parameters.items())
    return f"postgresql://{user}:not-checked@/{database}?host={folder}{more}"


async def run_as_owner(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(asyncpg_address(url))
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


@pytest.fixture
def name() -> str:
    return f"other_{uuid4().hex[:12]}"


async def test_no_such_database(postgres_url: str) -> None:
    line = await told(on(postgres_url, "nosuch"))

    assert 'PostgreSQL says: database "nosuch" does not exist; make it: CREATE DATABASE' in line


async def test_no_right_to_make_tables(postgres_url: str, name: str) -> None:
    await run_as_owner(postgres_url, f"CREATE ROLE {name} LOGIN", f"CREATE DATABASE {name}")

    line = await told(on(postgres_url, name, user=name))

    assert "PostgreSQL says: permission denied for schema public; give the user the right" in line


async def test_a_revision_that_is_not_ours(postgres_url: str, name: str) -> None:
    url = await fresh_database(postgres_url, name)
    await run_as_owner(url, "UPDATE alembic_version SET version_num = '0018'")

    line = await told(url)

    assert "its revision 0018 is not known to this version; use the one that made it" in line


async def test_another_encoding(postgres_url: str, name: str) -> None:
    kind = "ENCODING 'LATIN1' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    await run_as_owner(postgres_url, f"CREATE DATABASE {name} {kind}")

    assert "encoding is LATIN1, and UTF8 is needed" in await told(on(postgres_url, name))


async def test_a_server_that_only_reads(postgres_url: str) -> None:
    line = await told(on(postgres_url, "postgres", default_transaction_read_only="on"))

    assert "this server only reads" in line


async def test_no_such_user(postgres_url: str) -> None:
    assert 'PostgreSQL says: role "nobody-here" does not exist' in await told(on(postgres_url, "x", "nobody-here"))


async def test_a_parameter_that_the_server_does_not_know(postgres_url: str) -> None:
    line = await told(on(postgres_url, "postgres", schema="mine"))

    assert 'unrecognized configuration parameter "schema"; take that parameter out' in line


async def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert "cannot be reached" in await told(f"postgresql://ana:hidden@127.0.0.1:{port}/x")


@pytest.fixture(params=[b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"SSH-2.0-x\r\n"])
def other_protocol(request: pytest.FixtureRequest) -> Iterator[int]:
    """Says its own greeting to whoever connects, and hangs up."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def greet() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(1_000)
                    caller.sendall(request.param)

        threading.Thread(target=greet, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


async def test_another_protocol(other_protocol: int) -> None:
    line = await told(f"postgresql://ana:hidden@127.0.0.1:{other_protocol}/x")

    assert "hidden" not in line
    assert "does a PostgreSQL listen there?" in line or "is the address right" in line


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ("sslmode=verify-full&sslrootcert=/no/such.pem", "sslrootcert"),
        ("sslmode=verify-ca&sslrootcert=x", "sslrootcert"),
        ("sslmode=require&sslrootcert=/etc", "sslrootcert"),
        ("sslmode=require&sslcert=/etc/passwd&sslkey=/etc/passwd", "sslcert"),
        ("sslmode=maybe", "sslmode"),
        ("sslmode=require&ssl_min_protocol_version=TLSv9", "ssl_min_protocol_version"),
    ],
)
async def test_tls_parameters_that_cannot_be_used(parameters: str, word: str) -> None:
    line = await told(f"postgresql://ana:hidden@127.0.0.1:1/x?{parameters}")

    assert line.startswith(f"the parameter {word} of the address cannot be used: ")
    assert "docs/setup.md" not in line


async def test_a_host_that_is_no_name() -> None:
    line = await told("postgresql://ana:hidden@a..b/x")

    assert line.startswith("the host of the address is no name: ")


async def test_parameters_of_other_drivers_are_left_out(postgres_url: str) -> None:
    others = {"channel_binding": "prefer", "connect_timeout": "3", "pgbouncer": "true", "statement_cache_size": "0"}
    database = Database(on(postgres_url, "postgres", sslmode="disable", application_name="ours", **others))

    row = await within("a row", database.row("SELECT 1 AS one"), database.engine.pool.status, seconds=10)

    assert row is not None
    assert row["one"] == 1
    await database.close()


@pytest.mark.parametrize("parameter", ["sslmode=bogus", "target_session_attrs=bogus"])
async def test_a_parameter_that_cannot_be_used_is_named(parameter: str) -> None:
    url = f"postgresql://ana:hidden@127.0.0.1:1/x?{parameter}"
    name = parameter.partition("=")[0]
    database = Database(url)
    with pytest.raises(StorageUnavailable, match=f"the parameter {name} of the address cannot be used"):
        await database.rows("SELECT 1")
    await database.close()

    assert f"the parameter {name} of the address cannot be used" in await told(url)


@pytest.mark.processes
@pytest.mark.parametrize("words", [["conversation", "show", "c-1"], ["key", "add", "shop", "--scope", "message"]])
def test_each_command_names_the_address_and_the_remedy(tmp_path: Path, words: list[str]) -> None:
    environment = {**os.environ, "DATABASE_URL": "postgresql://ana:hidden@/x?host=/nowhere", "DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [AGENT, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )

    address = "agent: DATABASE_URL: postgresql://ana:…@/x?host=/nowhere: cannot be reached: "
    assert done.stderr.startswith(address), done.stderr
    assert done.stderr.endswith("is the address right, and does it run?\n")
