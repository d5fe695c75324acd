from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from include.errors import ConfigurationError
from include.stack import state

if TYPE_CHECKING:
    from pathlib import Path


def test_a_stack_keeps_its_identity_and_ports(tmp_path: Path) -> None:
    first = state.prepare(tmp_path / "state", {})
    assert state.load(tmp_path / "state") == first
    assert state.prepare(tmp_path / "state", {}).stack_id == first.stack_id
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_two_state_folders_share_nothing(tmp_path: Path) -> None:
    one, two = state.prepare(tmp_path / "1", {}), state.prepare(tmp_path / "2", {})
    assert one.stack_id != two.stack_id
    assert one.postgres_data != two.postgres_data
    assert not set(one.ports.values()) & set(two.ports.values())


def test_a_named_lineage_server_is_used(tmp_path: Path) -> None:
    named = {
        "MARQUEZ_URL": "http://marquez.example:5000/",
        "MARQUEZ_ADMIN_URL": "http://marquez.example:5001",
    }
    stack = state.prepare(tmp_path, named)
    assert stack.lineage_url == "http://marquez.example:5000"
    assert stack.lineage_admin_url == "http://marquez.example:5001"
    assert state.prepare(tmp_path, {}).marquez_url is None


def test_a_namespace_is_remembered(tmp_path: Path) -> None:
    assert state.prepare(tmp_path, {}).namespace == "throughline"
    assert state.prepare(tmp_path, {"THROUGHLINE_NAMESPACE": "another"}).namespace == "another"
    assert state.prepare(tmp_path, {}).namespace == "another"


def test_our_own_address_from_the_shell_is_not_taken_for_a_foreign_server(tmp_path: Path) -> None:
    first = state.prepare(tmp_path, {})
    again = state.prepare(tmp_path, {"MARQUEZ_URL": first.lineage_url})
    assert again.marquez_url is None


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with pytest.raises(ConfigurationError, match="THROUGHLINE_STATE_DIR"):
        state.prepare(deep, {})
    assert not (deep / state.FILE).exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / state.FILE).write_text('{"stack_id": 3}')
    with pytest.raises(ConfigurationError, match=r"stack\.json is damaged"):
        state.load(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps the data elsewhere")
def test_root_keeps_the_databases_where_their_user_reaches_them(tmp_path: Path) -> None:
    stack = state.prepare(tmp_path, {})
    assert str(stack.postgres_data) == f"/var/lib/throughline/{stack.stack_id}/data"
