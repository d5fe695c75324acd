from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from include.ledger import migrations
from include.lineage.declarations import store_declarations
from include.lineage.events import store_event
from include.lineage.relay import drain_once
from include.lineage.spool import Spool
from include.marquez.client import MarquezClient
from include.stack import airflow_api, credentials, databases, parts, ports, state, status
from include.stack.postgres import temporary_cluster
from tests.include.lineage.receiver import receiving
from tests.loopback import Answering, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.stack.state import Stack


class Named(Answering):
    """Answers as a lineage server that names itself."""

    def do_GET(self) -> None:
        self.answer(200, {"namespaces": []}, {"x-lineage-server": "embedded 9.9"})


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return state.prepare(tmp_path / "s", {})


@pytest.fixture
def server() -> Iterator[int]:
    with serving(Named) as address:
        yield int(address.rsplit(":", 1)[1])


def test_the_server_at_the_stacks_own_address_is_named(stack: Stack, server: int) -> None:
    """Not the one at the default address, where another stack's may answer."""
    moved = dataclasses.replace(stack, ports={**stack.ports, "lineage": server})
    assert status.identity(moved) == "embedded 9.9"
    assert (
        status.identity(dataclasses.replace(stack, marquez_url=f"http://127.0.0.1:{server}"))
        == "embedded 9.9"
    )


def test_a_silent_server_is_said_to_be_silent(stack: Stack) -> None:
    gone = dataclasses.replace(stack, ports={**stack.ports, "lineage": ports.free_port()})
    assert status.identity(gone) == "none answers"


def test_airflow_that_is_away_is_unreachable() -> None:
    said = airflow_api.health(f"http://127.0.0.1:{ports.free_port()}")
    assert said == dict.fromkeys(airflow_api.COMPONENTS, airflow_api.UNREACHABLE)


def started(job: str) -> dict[str, Any]:
    facet = {"job_id": str(uuid4()), "dag_id": "video", "run_id": f"manual__{job}"}
    return {
        "eventType": "START",
        "eventTime": "2026-01-01T00:00:00Z",
        "run": {"runId": str(uuid4()), "facets": {"throughline_job": facet}},
        "job": {"namespace": "throughline", "name": job},
        "producer": "https://throughline.example/tests",
    }


def test_the_relays_backlog_is_counted_as_the_relay_sees_it(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secrets = credentials.read_or_make(stack.state_dir)
    assert status.backlog(stack, secrets) is None, "no ledger"
    with temporary_cluster(tmp_path_factory.mktemp("cluster")) as dsn:
        databases.ensure(dsn, secrets)
        port = int(str(psycopg.conninfo.conninfo_to_dict(dsn)["port"]))
        here = dataclasses.replace(stack, ports={**stack.ports, "postgres": port})
        assert status.backlog(here, secrets) is None, "no table yet"
        owner = f"postgresql://throughline_owner:{secrets.postgres_owner}@127.0.0.1:{port}/throughline"
        migrations.upgrade(owner)
        with psycopg.connect(owner) as connection:
            for number, column in enumerate(["delivered_at", "dead_at", "next_at", "next_at"]):
                store_event(connection, started(f"job{number}"))
                connection.execute(
                    f"UPDATE event SET {column} = now() WHERE job_name = %s", (f"job{number}",)
                )
        # The relay's own role may take in the spool, and note what became of events.
        spool = Spool(here.state_dir / "lineage")
        spool.folder.mkdir()
        torn = '{"eventTime": "to'
        spool.path.write_text(json.dumps(started("spooled")) + "\n" + torn)
        dsn = parts.variables(here, secrets)["relay-database"]["THROUGHLINE_LEDGER_DSN"]
        with receiving() as receiver, MarquezClient(receiver.url) as client:
            receiver.status = 503
            assert drain_once(dsn, client, spool) == 0
        with psycopg.connect(owner) as connection:
            store_declarations(connection, [{"job": {"namespace": "t", "name": "x"}, "eventTime": "now"}])
        seen = status.backlog(here, secrets)
    assert seen is not None
    assert (seen.pending, seen.failed, seen.dead, seen.delivered) == (4, 3, 1, 1), "a declaration waits, too"
    assert (seen.spool_lines, seen.spool_bytes) == (0, len(torn))
