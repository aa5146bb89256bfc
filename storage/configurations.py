"""Assistants' configurations: every version is kept, the newest is in force."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping

from schemas.assistants import Assistant, AssistantConfig
from schemas.encoding import dump_json
from storage.database import Database

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('configurations', 0))"
"""Whoever applies comes before or after all others: of a number, and of an account, one is the first."""

_APPLY = """
INSERT INTO configurations (assistant, version, body, created_by)
SELECT :name, coalesce(max(version), 0) + 1, CAST(:body AS jsonb), :created_by
  FROM configurations WHERE assistant = :name
RETURNING version
"""

_ACCOUNTS = """
SELECT c.assistant, a.channel, account.value AS account
  FROM configurations c, jsonb_each(c.body -> 'accounts') AS a(channel, accounts),
       jsonb_array_elements_text(a.accounts) AS account(value)
 WHERE c.assistant <> :name
   AND c.version = (SELECT max(n.version) FROM configurations n WHERE n.assistant = c.assistant)
"""

_PASTED = """
INSERT INTO pasted_packs (assistant, version, collection_uuid, pasted_by) VALUES (:name, :version, :space, :pasted_by)
"""


class AccountTaken(Exception):
    """A number of ours belongs to one assistant."""


class Configurations:
    """Reads and writes versions. A version never changes once written, so it is read once a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: dict[tuple[str, int], Assistant] = {}

    async def at(self, name: str, version: int | None) -> Assistant:
        """The assistant *name* at *version*; with None, of which nothing was ever stored, all defaults."""
        if version is None:
            return Assistant(name=name)
        if (name, version) not in self._read:
            row = await self._database.row(
                "SELECT body FROM configurations WHERE assistant = :name AND version = :version",
                {"name": name, "version": version},
            )
            assert row is not None
            config = AssistantConfig.model_validate(row["body"])
            self._read[name, version] = Assistant(name=name, version=version, config=config)
        return self._read[name, version]

    async def newest(self, name: str) -> Assistant:
        row = await self._database.row(
            "SELECT max(version) AS version FROM configurations WHERE assistant = :name", {"name": name}
        )
        return await self.at(name, row["version"] if row else None)

    async def names(self) -> list[str]:
        """Every assistant there is; `default` always is one."""
        rows = await self._database.rows("SELECT DISTINCT assistant FROM configurations")
        return sorted({"default", *(row["assistant"] for row in rows)})

    async def apply(self, name: str, config: AssistantConfig, created_by: str) -> int:
        """Stores a new version, in force from each conversation's next turn on, and returns its number.

        Raises AccountTaken for an account that another assistant's newest version names.
        """
        body = dump_json(config.model_dump(mode="json"))
        async with self._database.transaction() as one_at_a_time:
            await one_at_a_time.rows(_LOCK)
            _check_accounts(config, await one_at_a_time.rows(_ACCOUNTS, {"name": name}))
            [applied] = await one_at_a_time.rows(_APPLY, {"name": name, "body": body, "created_by": created_by})
        return int(applied["version"])

    async def check_accounts(self, name: str, config: AssistantConfig) -> None:
        """Raises AccountTaken for an account of *config* that the newest version of another than *name* names."""
        _check_accounts(config, await self._database.rows(_ACCOUNTS, {"name": name}))

    async def pasted(self, name: str, pack_version: str, space: str, pasted_by: str) -> None:
        """Somebody has put that version of the assistant's prompt pack into the Space *space* (a `collection_uuid`)."""
        values = {"name": name, "version": pack_version, "space": space, "pasted_by": pasted_by}
        await self._database.rows(_PASTED, values)


def _check_accounts(config: AssistantConfig, others: Sequence[RowMapping]) -> None:
    """Raises AccountTaken for an account of *config* among those of *others*."""
    wanted = config.accounts.model_dump()
    for taken in others:
        if taken["account"] in wanted.get(taken["channel"], ()):
            raise AccountTaken("{channel} account {account} belongs to assistant {assistant}".format(**taken))
