"""When an artifact was the current one of its job, kind and key.

Nothing is ever taken back: edges and blobs are append-only, an artifact's row changes once, when it is superseded. So
an artifact is current in the half-open interval from `created_at` to `superseded_at`, and the state of any past moment
can be read from the rows of today. Both are the start of the transaction that committed the change, on the clock of
the database; whoever asked within the milliseconds of that commit may have seen the state before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_

from include.ledger.models import Artifact

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement


def existed(as_of: datetime | None) -> ColumnElement[bool]:
    """Return the condition that an artifact had been made by a moment; by now, all have."""
    return Artifact.artifact_id.is_not(None) if as_of is None else Artifact.created_at <= as_of


def current(as_of: datetime | None) -> ColumnElement[bool]:
    """Return the condition that an artifact was current at a moment, by default now."""
    if as_of is None:
        return Artifact.superseded_at.is_(None)
    return and_(existed(as_of), or_(Artifact.superseded_at.is_(None), Artifact.superseded_at > as_of))
