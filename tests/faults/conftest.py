"""A ledger, a store and a spool of their own for every fault, and a lineage server that does as told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.marquez.client import MarquezClient
from include.settings import settings
from tests.include.lineage.receiver import Receiver, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, so that its spool is too."""
    folder = tmp_path / "state"
    monkeypatch.setenv("THROUGHLINE_STATE_DIR", str(folder))
    settings.cache_clear()
    return folder


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def server(receiver: Receiver) -> Iterator[MarquezClient]:
    with MarquezClient(receiver.url, timeout_s=5) as client:
        yield client
