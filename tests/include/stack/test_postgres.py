from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from include.stack import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another OS user")


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres.temporary_cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def setting(dsn: str, name: str) -> object:
    return ask(dsn, f"SELECT current_setting('{name}')")


def test_a_real_server_answers_with_scram_and_utf8(dsn: str) -> None:
    assert str(setting(dsn, "server_version")).startswith("18")
    assert setting(dsn, "password_encryption") == "scram-sha-256"
    assert setting(dsn, "server_encoding") == "UTF8"
    assert ask(dsn, "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'").startswith(
        "SCRAM-SHA-256$"
    )  # type: ignore[attr-defined]


def test_it_listens_on_this_machine_only_and_on_no_socket(dsn: str) -> None:
    assert setting(dsn, "listen_addresses") == "127.0.0.1"
    assert setting(dsn, "unix_socket_directories") == ""
    assert {one.laddr.ip for one in _postmaster(dsn).net_connections("inet")} == {"127.0.0.1"}
    assert [one for one in _postmaster(dsn).net_connections("unix") if one.laddr] == []


def _postmaster(dsn: str) -> psutil.Process:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        found = psutil.Process(row[0]).parent()
    assert found is not None
    return found


@pytest.mark.parametrize("password", ["", "wrong"])
def test_nobody_enters_without_the_password(dsn: str, password: str) -> None:
    parameters = psycopg.conninfo.conninfo_to_dict(dsn) | {"password": password}
    with pytest.raises(psycopg.OperationalError, match=r"password"):
        psycopg.connect(**parameters)


def test_no_rule_trusts_anybody(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        rules = connection.execute("SELECT type, address, auth_method FROM pg_hba_file_rules").fetchall()
    assert rules == [("host", "127.0.0.1", "scram-sha-256")]


@needs_root
def test_root_runs_it_as_a_user_of_its_own(dsn: str) -> None:
    server = _postmaster(dsn)
    assert server.username() == postgres.ACCOUNT
    assert server.uids().effective != 0
    assert "THROUGHLINE" not in " ".join(server.environ())


@needs_root
def test_programs_in_a_closed_folder_are_copied_to_where_their_user_can_run_them(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    source = closed / "pginstall"
    shutil.copytree(postgres.installed(), source, symlinks=True)
    (source / "share" / "only-here").write_text("another digest")
    user = postgres.account()
    assert user is not None
    found = postgres.binaries(user, source)
    try:
        assert found.parent.parent == postgres.ROOT_FOLDER
        version = subprocess.run(
            [found / "postgres", "--version"],
            user=user.uid,
            group=user.gid,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "18" in version.stdout
        assert postgres.binaries(user, source) == found
    finally:
        shutil.rmtree(found.parent)


@needs_root
def test_a_folder_that_the_servers_user_cannot_reach_is_no_obstacle(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "below").mkdir()
    with postgres.temporary_cluster(closed / "below") as started:
        where = Path(str(setting(started, "data_directory")))
        assert where.is_relative_to(postgres.ROOT_FOLDER)
    assert not where.exists()


def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    with postgres.temporary_cluster(tmp_path) as started:
        server = _postmaster(started)
        data = Path(str(setting(started, "data_directory")))
    assert not server.is_running()
    assert not data.exists()


def test_a_start_that_was_killed_while_making_the_data_is_made_good() -> None:
    with tempfile.TemporaryDirectory(prefix="throughline-pg-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        (home / ".initdb-killed" / "data").mkdir(parents=True)
        cluster = postgres.Cluster(home / "data", postgres.free_port(), "secret", fsync=False)
        cluster.initialise()
        assert [path.name for path in home.iterdir()] == ["data"]
        first = (home / "data" / "global" / "pg_control").stat().st_ino
        cluster.initialise()
        assert (home / "data" / "global" / "pg_control").stat().st_ino == first
