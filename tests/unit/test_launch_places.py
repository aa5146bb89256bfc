"""Folders and sockets for every path, umask and temp folder; ports and hosts that cannot be used are told truly."""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from config.settings import Settings
from launch.clusters import Cluster, socket_folder
from launch.failures import LaunchError
from launch.files import make_folder
from launch.folder import check_media_folder, locked_folder
from launch.os_user import OsUser
from launch.ports import check_host, claimed_ports, refusal_in_words
from launch.postgres import address
from launch.temporal import temporal_command
from storage.addresses import asyncpg_address
from storage.migrate import newest_revision


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_a_folder_has_the_mode_that_is_wanted(tmp_path: Path, umask: int) -> None:
    make_folder(tmp_path / "a" / "b", 0o711)

    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")] == [0o711, 0o711]


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)

    make_folder(tmp_path, 0o711)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


@pytest.mark.parametrize("name", ["100% bots", 'a "quote", a comma', "[é机] #?&=", "x" * 190, "it's", "a+b@c"])
def test_clients_find_the_socket_wherever_the_data_lies(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    sockets = socket_folder(folder, None)

    url = asyncpg_address(address(Cluster(folder, sockets, tmp_path, None)))

    host = parse_qs(urlsplit(url).query, strict_parsing=True)["host"]
    assert host == [str(sockets)]
    assert not set(',"\t ') & set(str(sockets))
    assert len(os.fsencode(sockets)) < 90


def test_a_temp_folder_that_is_too_long_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("t" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))

    assert socket_folder(tmp_path / ("x" * 190), None).parent == Path("/tmp")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder away")
def test_a_link_in_the_place_of_the_sockets_gives_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary := tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    cluster, somebody = tmp_path / ("x" * 190), OsUser(65534, 65534)
    sockets = socket_folder(cluster, somebody)
    sockets.rmdir()
    (roots := tmp_path / "roots").mkdir()
    sockets.symlink_to(roots)

    try:
        with pytest.raises(LaunchError, match="belongs to somebody else"):
            socket_folder(cluster, somebody)
    finally:
        sockets.unlink()

    assert roots.stat().st_uid == 0


def test_temporal_is_told_its_file_without_the_path() -> None:
    command = temporal_command(7233, 8233, Path("/a b/100% ?#/temporal.sqlite"))

    assert command[command.index("--db-filename") + 1] == "temporal.sqlite"


def test_a_data_folder_with_a_line_break(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "a\nb"
    odd.mkdir()
    monkeypatch.chdir(odd)

    with pytest.raises(LaunchError, match=r"^DATA_DIR: .*without line breaks"), locked_folder(settings()):
        pass


def test_migrations_are_found() -> None:
    assert newest_revision()


NOBODYS = ["x86_64-conda-linux-gnu", "203.0.113.7", "a" * 70, "x..y", "2001:db8::1"]
BOUND_AND_NOT_REACHED = ["224.0.0.1", "255.255.255.255", "::ffff:127.0.0.1"]


@pytest.mark.parametrize("host", [*NOBODYS, *BOUND_AND_NOT_REACHED])
def test_a_host_that_is_not_this_machine(host: str) -> None:
    with pytest.raises(LaunchError, match=r"^HOST: got .* no address of this machine .*; unset it") as caught:
        check_host(host)

    assert repr(host) in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "127.0.1.1"])
def test_a_host_that_is(host: str) -> None:
    check_host(host)


def test_a_host_is_looked_at_before_any_port() -> None:
    with pytest.raises(LaunchError, match=r"^HOST: got"), claimed_ports(settings(host="203.0.113.7", port=8123)):
        pass


def test_a_port_that_is_forbidden_is_not_called_taken() -> None:
    line = refusal_in_words("PORT", "127.0.0.1", 80, OSError(errno.EACCES, "Permission denied"))

    assert line.startswith("PORT: this user may not open port 80 on 127.0.0.1 (Permission denied")
    assert "taken" not in line


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(LaunchError, match=f"^PORT: port {port} is taken"), claimed_ports(settings(port=port)):
            pass


@pytest.fixture
def unusable(tmp_path: Path) -> dict[str, Path]:
    """Places where nothing can be kept, whoever asks."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "link")
    named = {"file": tmp_path / "file", "below a file": tmp_path / "file" / "x", "circle": tmp_path / "link"}
    return {**named, "of the system": Path("/proc/x")}


@pytest.mark.parametrize("name", ["file", "below a file", "circle", "of the system"])
def test_a_place_where_no_file_can_be_kept(unusable: dict[str, Path], tmp_path: Path, name: str) -> None:
    data, place = tmp_path / "data", unusable[name]

    with (
        pytest.raises(LaunchError, match=rf"^MEDIA_DIR: {place} cannot be written to \("),
        locked_folder(settings(data_dir=data, media_dir=place, disk_free_bytes=0)),
    ):
        pass

    with pytest.raises(LaunchError, match=rf"^MEDIA_DIR: {place} cannot be written to \("):
        check_media_folder(place)


def test_a_place_for_files_is_made(tmp_path: Path) -> None:
    with locked_folder(settings(data_dir=tmp_path, disk_free_bytes=0)):
        assert (tmp_path / "media").is_dir()


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]
