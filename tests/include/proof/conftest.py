"""A job of two finished stages in a ledger of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.include.proof.made_runs import Made, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def made(ledger: str, tmp_path: Path) -> Made:
    """Two stages ran; no event told of them yet."""
    return make(ledger, tmp_path)
