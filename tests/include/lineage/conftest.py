"""An open job in a ledger of its own."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from include.ledger.jobs import open_job
from include.ledger.session import transaction


@pytest.fixture
def job(ledger: str) -> UUID:
    with transaction() as session:
        return open_job(session, derived=uuid4(), given=None, dag_id="video", run_id="manual__1", params={})
