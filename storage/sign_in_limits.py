"""How often somebody may try to sign in: failures are counted by the name they give and by the address they come from.

Each try takes a place under both before its password is looked at, so that many at once are no way around it; one
that succeeds gives both back.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from config.settings import Settings
from schemas.messages import limit_key
from storage.database import Database

_NETWORK_BITS = 64
"""Of an IPv6 address: whoever has one has all of its network's."""

_TAKE = """
WITH address AS MATERIALIZED (SELECT take_rate(:address, :address_per_minute, :address_burst) AS wait)
SELECT CASE WHEN wait > 0 THEN wait ELSE take_rate(:name, :name_per_minute, :name_burst) END AS wait FROM address
"""

_GIVE_BACK = """
UPDATE rate_limits SET arrival = CASE key WHEN :name THEN 0 ELSE arrival - 60.0 / :address_per_minute END
 WHERE key IN (:name, :address)
"""


class SignInLimits:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._address = (settings.sign_in_address_per_minute, settings.sign_in_address_burst)
        self._name = (settings.sign_in_name_per_minute, settings.sign_in_name_burst)

    async def take(self, name: str, address: str) -> float:
        """0 where one more may be tried now, else the seconds until then."""
        rates = {"address_per_minute": self._address[0], "address_burst": self._address[1]}
        rates |= {"name_per_minute": self._name[0], "name_burst": self._name[1]}
        row = await self._database.row(_TAKE, {**_keys(name, address), **rates})
        return float(row["wait"]) if row else 0.0

    async def give_back(self, name: str, address: str) -> None:
        """It was no failure."""
        per_minute = self._address[0] or 1.0
        await self._database.rows(_GIVE_BACK, {**_keys(name, address), "address_per_minute": per_minute})


def _keys(name: str, address: str) -> dict[str, str]:
    return {
        "name": limit_key("sign-in name", name.strip().lower()),
        "address": limit_key("sign-in address", _network_of(address)),
    }


def _network_of(address: str) -> str:
    try:
        known = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((known, _NETWORK_BITS), strict=False)) if isinstance(known, IPv6Address) else address
