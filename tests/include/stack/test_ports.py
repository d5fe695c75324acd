from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from include.stack import ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claims of this test only."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path / f"throughline-{os.geteuid()}"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_default_that_is_taken_gives_way_to_a_free_port(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    chosen = ports.choose({}, {"airflow": taken})["airflow"]
    assert chosen != taken
    assert ports.is_free(chosen)


def test_a_server_on_every_address_takes_the_port_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_the_port_of_the_last_start_is_kept_when_the_default_is_taken(listener: socket.socket) -> None:
    last = ports.free_port()
    assert ports.choose({"airflow": last}, {"airflow": listener.getsockname()[1]}) == {"airflow": last}


def test_every_use_gets_a_port_of_its_own() -> None:
    chosen = ports.choose({})
    assert set(chosen) == set(ports.DEFAULTS)
    assert len(set(chosen.values())) == len(chosen)


def test_two_stacks_that_start_together_get_different_ports(claims: Path) -> None:
    free = ports.free_port()
    code = f"from include.stack import ports; print(ports.choose({{}}, {{'airflow': {free}}})['airflow'], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert int(other.stdout.readline()) == free
        assert ports.is_free(free), "nobody listens yet"
        assert ports.choose({}, {"airflow": free})["airflow"] != free
        other.communicate("\n")
    assert ports.choose({}, {"airflow": free})["airflow"] == free, "the claim ended with its process"


def test_claims_are_handed_over_to_the_supervisor() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        chosen = ports.choose({}, {"airflow": ports.free_port()})
        ports.hand_over(chosen, other.pid)
        again = ports.choose({}, {"airflow": chosen["airflow"]})
        assert again["airflow"] != chosen["airflow"]
        other.communicate(b"\n")
    assert ports.choose({}, {"airflow": chosen["airflow"]}) == chosen


def test_the_listener_is_told_from_a_stranger(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert ports.listens(port, os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert not ports.listens(port, other.pid)
        other.communicate(b"\n")
    assert not ports.listens(port, other.pid)
