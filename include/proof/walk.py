"""From one artifact to all that it was made from, or that was made from it: one recursive statement.

A link is an exact edge (`artifact_input`) or a reuse (`artifact.reused_from`: the bytes were taken over from another
making). Links lead from newer to older only, so there are no cycles; UNION visits every artifact once, whatever the
shape. Each step looks up its links by index, so the cost follows the answer, not the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, true, union_all
from sqlalchemy import select as choose

from include.ledger.models import Artifact, ArtifactInput

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import CTE


def reach(roots: Select[Any], *, backwards: bool, reuse: bool = True, as_of: datetime | None = None) -> CTE:
    """Return the recursive query of every artifact reached from the roots, the roots among them.

    `roots` selects one column, `artifact_id`; so does the answer, a CTE. `backwards` follows the links to what an
    artifact was made from. `as_of` leaves out links made later than that moment.
    """
    reached = roots.cte("reached", recursive=True)
    here = reached.c.artifact_id
    if backwards:
        edges = choose(ArtifactInput.input_id.label("artifact_id")).where(ArtifactInput.artifact_id == here)
        again = choose(Artifact.reused_from.label("artifact_id")).where(
            Artifact.artifact_id == here, Artifact.reused_from.is_not(None)
        )
    else:
        edges = choose(ArtifactInput.artifact_id).where(ArtifactInput.input_id == here)
        again = choose(Artifact.artifact_id).where(Artifact.reused_from == here)
    if as_of is not None:
        edges = edges.where(ArtifactInput.created_at <= as_of)
        again = again.where(Artifact.created_at <= as_of)
    links = [edges.correlate(reached), *([again.correlate(reached)] if reuse else [])]
    step = (union_all(*links) if reuse else links[0]).lateral("step")
    return reached.union(choose(step.c.artifact_id).select_from(reached.join(step, true())))
