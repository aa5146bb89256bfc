"""DATA_DIR with something else under our names: one line with the path, what is wrong and what to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Settings
from launch.clusters import prepare_cluster, short_name
from launch.failures import LaunchError
from launch.files import read_json
from launch.folder import DataFolder, locked_folder
from launch.keys import find_keys
from launch.main import run
from launch.temporal_file import move_aside_if_damaged
from tests.support.waiting import LONGEST_SECONDS

FILES = ["logs", "simulator", "metrics"]
FOLDERS = ["lock", "addresses.json", "processes.json", "secrets.json", "logs/worker.log"]
LINKS = ["temporal.sqlite", "lock", "secrets.json", "logs", "logs/api.log", "simulator"]


def settings(data: Path, **others: object) -> Settings:
    return Settings(_env_file=None, data_dir=data, **others)  # type: ignore[call-arg, arg-type]


def refusal(data: Path, **others: object) -> str:
    with pytest.raises(LaunchError) as refused, locked_folder(settings(data, **others)):
        pass
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_in_place_of_a_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("kept")

    assert refusal(tmp_path).startswith(f"{tmp_path / name} is no folder, and one is to be there: move it away")
    assert (tmp_path / name).read_text() == "kept"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_in_place_of_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir(parents=True)

    assert refusal(tmp_path).startswith(f"{tmp_path / name} is a folder, and a file is to be there: move it away")
    assert (tmp_path / name).is_dir()


@pytest.mark.parametrize("name", LINKS)
def test_a_link_to_nowhere(tmp_path: Path, name: str) -> None:
    (link := tmp_path / name).parent.mkdir(exist_ok=True)
    link.symlink_to("/nowhere/x")

    assert refusal(tmp_path).startswith(f"{link} leads to /nowhere/x, which is not there: bring that back, or remove")


@pytest.fixture
def no_current_folder() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as gone:
        os.chdir(gone)
    yield
    os.chdir(before)


def test_a_current_folder_that_is_gone(no_current_folder: None) -> None:
    assert refusal(Path("data")).startswith("the current folder is gone: change into one that is there (cd)")


def test_what_nothing_looked_at_before_is_told_with_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").mkdir()
    (loop := tmp_path / "data").symlink_to(loop)

    assert run(settings(loop / "x")) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert str(loop) in line


def test_a_database_without_its_version_is_no_place_for_a_new_one(tmp_path: Path) -> None:
    (kept := tmp_path / "postgres" / "base").mkdir(parents=True)

    with pytest.raises(LaunchError, match=r"postgres holds something, .*PG_VERSION is missing.* move it aside"):
        prepare_cluster(tmp_path / "postgres", tmp_path / "initdb.log")

    assert kept.exists()


def test_a_file_in_place_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("x")

    with pytest.raises(LaunchError, match="postgres is no folder: bring"):
        prepare_cluster(tmp_path / "postgres", tmp_path / "initdb.log")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api_key", "pa_1\n"),
        ("api_key", "two words"),
        ("api_key", "pä"),
        ("secret_key", "a\x00b"),
        ("secret_key", "mine "),
        ("app_secret", "a b"),
        ("verify_token", "é"),
    ],
)
def test_a_kept_key_that_cannot_be_used_is_told_with_its_file(tmp_path: Path, name: str, value: str) -> None:
    (path := tmp_path / "secrets.json").write_text(content := json.dumps({name: value}))

    with pytest.raises(LaunchError, match=rf"^{path}: {name} .*move it aside") as refused:
        find_keys(settings(tmp_path), path)

    assert len(str(refused.value).splitlines()) == 1
    assert value not in str(refused.value)
    assert path.read_text() == content


def kept_of(data: Path, *, fails: bool) -> DataFolder:
    """Where an ephemeral start that *fails* had its files, once it has ended."""
    folder = None
    try:
        with locked_folder(settings(data, ephemeral=True, disk_free_bytes=0)) as folder:
            folder.log("migrate").write_text("why")
            folder.secrets.write_text("{}")
            if fails:
                raise LaunchError("more in a log")
    except LaunchError:
        assert fails
    assert folder is not None
    return folder


def test_a_failed_ephemeral_start_leaves_its_logs_alone(tmp_path: Path) -> None:
    folder = kept_of(tmp_path / "data", fails=True)

    assert [path.name for path in folder.kept.iterdir()] == ["logs"]
    assert folder.log("migrate").read_text() == "why"
    assert not (tmp_path / "data").exists()

    assert not kept_of(tmp_path / "data", fails=False).kept.exists()


PIPES = ["lock", "addresses.json", "processes.json", "secrets.json", "logs/temporal.log"]


@pytest.mark.parametrize("name", PIPES)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path, name: str) -> None:
    (pipe := tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)

    assert refusal(tmp_path).startswith(f"{pipe} is a pipe, socket or device, and a file is to be there: move it away")


def test_a_pipe_is_read_by_no_command_and_is_no_file_of_temporals(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "temporal.sqlite")

    assert read_json(pipe) == {}
    assert "is a pipe, socket or device: moved to temporal.sqlite.damaged-1" in str(move_aside_if_damaged(pipe))


def test_a_log_may_lead_nowhere_on_purpose(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").symlink_to("/dev/null")

    with locked_folder(settings(tmp_path, disk_free_bytes=0)):
        pass


@pytest.mark.parametrize("theirs", ["2025/sales.csv", "counters.db", "counter_12.db.old"])
def test_what_is_not_ours_is_not_removed_from_the_folder_of_counters(tmp_path: Path, theirs: str) -> None:
    (kept := tmp_path / "metrics" / theirs).parent.mkdir(parents=True)
    kept.write_text("years of work")

    assert "is none of our files, and each start empties" in refusal(tmp_path)
    assert kept.read_text() == "years of work"


def test_counters_of_processes_that_are_gone_are(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    for name in ("counter_12.db", "gauge_livesum_7.db", "histogram_999.db", "summary_1.db"):
        (tmp_path / "metrics" / name).touch()

    with locked_folder(settings(tmp_path, disk_free_bytes=0)) as folder:
        assert list(folder.metrics.iterdir()) == []


def test_a_start_that_comes_to_nothing_forgets_no_parts_of_a_killed_one(tmp_path: Path) -> None:
    (record := tmp_path / "processes.json").write_text("{}")

    assert "no room" in refusal(tmp_path, disk_free_bytes=10**18)
    assert record.exists()


def test_a_start_has_no_addresses_of_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").write_text('{"database_url": "postgresql://a@127.0.0.1:5432/b"}')

    with locked_folder(settings(tmp_path, disk_free_bytes=0)) as folder:
        assert not folder.addresses.exists()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temp folder, with what somebody put there who knows our names."""
    (folder := tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_an_ephemeral_start_trusts_no_name_that_can_be_foretold(tmp_path: Path, temporary: Path) -> None:
    (victim := tmp_path / "somebodys").mkdir()
    (victim / "thesis.txt").write_text("x")
    name = f"perplexity-agent-{short_name(tmp_path / 'data')}-{os.geteuid()}"
    for link in (name, f"{name}-", f"{name}-abc"):
        (temporary / link).symlink_to(victim)

    folder = kept_of(tmp_path / "data", fails=False)

    assert folder.kept.parent == temporary
    assert not folder.kept.exists()
    assert list(victim.iterdir()) == [victim / "thesis.txt"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another user's folder")
def test_an_ephemeral_start_leaves_another_users_folder_alone(tmp_path: Path, temporary: Path) -> None:
    theirs = temporary / f"perplexity-agent-{short_name(tmp_path / 'data')}-{os.geteuid()}-abc"
    theirs.mkdir()
    os.chown(theirs, 65534, 65534)

    assert kept_of(tmp_path / "data", fails=False).kept != theirs
    assert theirs.is_dir()


def test_what_a_failed_ephemeral_start_left_goes_with_the_next(tmp_path: Path, temporary: Path) -> None:
    kept_of(tmp_path / "data", fails=True)

    kept_of(tmp_path / "data", fails=False)

    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("name", "setting"), [("data", "DATA_DIR"), ("data/media", "MEDIA_DIR")])
def test_a_folder_on_a_disk_that_is_not_mounted(tmp_path: Path, name: str, setting: str) -> None:
    (link := tmp_path / name).parent.mkdir(exist_ok=True)
    link.symlink_to("/nowhere/x")

    assert refusal(tmp_path / "data", disk_free_bytes=0) == (
        f"{setting}: {link} cannot be written to ({link} leads to /nowhere/x, which is not there);"
        " set it to a folder that can"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root is kept from no file")
def test_a_file_of_ones_own_that_is_closed_is_not_called_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "agent.dump").touch(0o400)
    (kept := tmp_path / "secrets.json").touch(0o400)

    assert refusal(tmp_path, disk_free_bytes=0).startswith(f"{kept} is yours, and its mode keeps you from it: chmod")


_NEIGHBOURS = """
import os, sys
from config.settings import Settings
from launch.folder import locked_folder
import encodings.idna
settings = Settings(_env_file=None, data_dir=sys.argv[1], media_dir=sys.argv[1] + "/kept", disk_free_bytes=0)
os.setuid(65534)
with locked_folder(settings):
    print("started")
"""
"""A start by an ordinary user, who is kept from files as root is not."""


@pytest.mark.processes
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root becomes another user")
@pytest.mark.parametrize("theirs", ["package.json", "temporal.sqlite.dump", "media"])
def test_what_only_looks_like_ours_keeps_nobody_from_starting(theirs: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        (data := Path(place) / "data").mkdir(mode=0o700)
        (data / theirs).touch(0o600)
        os.chown(data, 65534, 65534)
        command = [sys.executable, "-c", _NEIGHBOURS, str(data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS)

    assert done.stdout == "started\n", done.stderr.splitlines()[-1:]


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """The beginning of a database's folder, of the account that would run it."""
    (folder := tmp_path / "postgres").mkdir(mode=0o700)
    (folder / "PG_VERSION").write_text("18\n")
    if os.geteuid() == 0:
        os.chown(folder / "PG_VERSION", 65534, 65534)
        os.chown(folder, 65534, 65534)
    return folder


def refusal_of(cluster: Path) -> str:
    with pytest.raises(LaunchError) as refused:
        prepare_cluster(cluster, cluster.parent / "initdb.log")
    return str(refused.value)


def test_a_database_of_another_version(cluster: Path) -> None:
    (cluster / "PG_VERSION").write_text("17\n")

    assert refusal_of(cluster).startswith(f"{cluster} is of PostgreSQL 17, and this one is 18: dump it with")


def test_a_database_that_is_open_to_others(cluster: Path) -> None:
    cluster.chmod(0o755)

    assert refusal_of(cluster).endswith(f"(mode 755), which PostgreSQL refuses: chmod 700 {cluster}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts another account's database")
@pytest.mark.parametrize(
    ("owner", "words"),
    [(0, "belongs to root (copied by root?), and"), (54_321, "belongs to user 54321, who has no name")],
)
def test_a_database_whose_owner_cannot_run_it(cluster: Path, owner: int, words: str) -> None:
    os.chown(cluster, owner, owner)

    assert refusal_of(cluster).startswith(f"{cluster} {words}")


def test_a_start_beside_one_whose_folder_was_removed_leaves_it_its_files(tmp_path: Path, temporary: Path) -> None:
    """`rm -rf .data` under a running system: the next start finds no lock."""
    ours = settings(data := tmp_path / "data", ephemeral=True, disk_free_bytes=0)
    with locked_folder(ours) as first:
        shutil.rmtree(data)
        with locked_folder(ours) as second:
            assert first.kept.is_dir()
            assert second.kept != first.kept


def test_the_end_of_one_whose_folder_was_removed_takes_nothing_from_the_next(tmp_path: Path) -> None:
    ours = settings(data := tmp_path / "data", disk_free_bytes=0)
    with locked_folder(ours):
        shutil.rmtree(data)
        second = locked_folder(ours)
        folder = second.__enter__()
        folder.addresses.write_text("{}")
        folder.processes.write_text("{}")

    assert sorted(path.name for path in data.iterdir() if path.is_file()) == [
        "addresses.json",
        "lock",
        "processes.json",
    ]
    second.__exit__(None, None, None)
