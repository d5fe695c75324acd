from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError
from include.stack import credentials

if TYPE_CHECKING:
    from pathlib import Path


def test_they_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first = credentials.read_or_make(tmp_path)
    assert credentials.read_or_make(tmp_path) == first == credentials.read(tmp_path)
    assert stat.S_IMODE((tmp_path / credentials.FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [credentials.FILE]


def test_they_are_long_enough_for_what_they_are_used_for(tmp_path: Path) -> None:
    made = credentials.read_or_make(tmp_path)
    assert len(base64.urlsafe_b64decode(made.airflow_fernet_key)) == 32
    assert len(made.airflow_jwt_secret.encode()) >= 64
    assert len(set(vars(made).values())) == len(vars(made))
    assert min(len(value) for value in vars(made).values()) >= 16


def test_a_secret_that_a_newer_version_needs_is_added(tmp_path: Path) -> None:
    first = credentials.read_or_make(tmp_path)
    path = tmp_path / credentials.FILE
    known = json.loads(path.read_text())
    del known["postgres_relay"]
    credentials.write_private(path, json.dumps(known))
    with pytest.raises(ConfigurationError, match="postgres_relay"):
        credentials.read(tmp_path)
    again = credentials.read_or_make(tmp_path)
    assert again.postgres_relay not in {"", first.postgres_relay}
    assert again.postgres_owner == first.postgres_owner


def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    credentials.read_or_make(tmp_path)
    (tmp_path / credentials.FILE).chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        credentials.read(tmp_path)


def test_they_do_not_show_in_a_traceback(tmp_path: Path) -> None:
    made = credentials.read_or_make(tmp_path)
    assert all(value not in repr(made) for value in vars(made).values())


def test_without_a_start_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make up"):
        credentials.read(tmp_path)
