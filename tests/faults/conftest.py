"""A ledger, a store and a spool of their own for every fault, and a lineage server that does as told."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest

from include.ledger.jobs import open_job
from include.ledger.session import transaction
from include.marquez.client import MarquezClient
from include.settings import settings
from tests.faults.nursery import Forker, Nursery
from tests.include.lineage.receiver import Receiver, receiving

sys.path.insert(0, str(Path(__file__).parent))  # `attempts` is imported by other processes too
from tests.faults.prepared import Prepared, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Postgres


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of the test's own, so that its spool is too."""
    folder = tmp_path / "state"
    (folder / "lineage").mkdir(parents=True)
    monkeypatch.setenv("THROUGHLINE_STATE_DIR", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of the test's own: sweeping at once must find nobody else's."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> None:
    """Keep a test to its own folders; the running stack has its own already."""
    if request.node.get_closest_marker("stack") is None:
        request.getfixturevalue("state")
        request.getfixturevalue("temporary")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def server(receiver: Receiver) -> Iterator[MarquezClient]:
    with MarquezClient(receiver.url, timeout_s=5) as client:
        yield client


@pytest.fixture
def job(ledger: str) -> UUID:
    with transaction() as session:
        return open_job(session, derived=uuid4(), given=None, dag_id="video", run_id="manual__1", params={})


@pytest.fixture
def events(ledger: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection that looks at the event table and changes it."""
    with psycopg.connect(ledger, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker]:
    with Forker.running() as running:
        yield running


@pytest.fixture
def nursery(forker: Forker, state: Path, ledger: str) -> Iterator[Nursery]:
    """What starts relays and writers of the test's ledger; none of them outlives it."""
    with Nursery.opened(forker, ledger, state) as opened:
        yield opened


@pytest.fixture(scope="session")
def prepared(
    postgres: Postgres, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prepared]:
    """One small job through all three families, as it was before each task and at its end."""
    with prepare(postgres, migrated, tmp_path_factory.mktemp("prepared")) as job:
        yield job
