"""Make the ledger, its events and the lineage server agree again; whatever is made up is marked, nothing is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.ledger.session import transaction
from include.proof.differences import compare
from include.proof.ends import Synthesised, end_open, start_untold
from include.proof.requeue import requeue
from include.proof.standing import Withdrawn, withdraw

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from include.marquez.client import MarquezClient
    from include.proof.whereabouts import Orchestrator

GRACE_S = 30.0  # a task reports its own end within seconds; younger runs are left to it


@dataclass(frozen=True)
class Reconciled:
    """What was mended: events made from the ledger, ends withdrawn, events that wait to be sent again."""

    synthesised: tuple[Synthesised, ...]
    withdrawn: tuple[Withdrawn, ...]
    requeued: int


def reconcile(
    dsn: str,
    relay_dsn: str | None = None,
    *,
    orchestrator: Orchestrator | None = None,
    client: MarquezClient | None = None,
    grace_s: float = GRACE_S,
    job_id: UUID | None = None,
    since: datetime | None = None,
) -> Reconciled:
    """Synthesise missing starts and ends, leave one end to every run, requeue what the server of `client` lacks.

    `dsn` has the writer's role, `relay_dsn` (default: the same) one that may change delivery state. `since` bounds the
    comparison with the server to runs that said something from then on. Safe to repeat.
    """
    relay_dsn = relay_dsn or dsn
    made = [*start_untold(dsn, grace_s, job_id), *end_open(dsn, orchestrator, grace_s, job_id)]
    withdrawn = withdraw(relay_dsn, job_id)
    requeued = 0
    if client is not None:
        with transaction(dsn) as session:
            differences = compare(session, client, job_id, since).differences
        requeued = requeue(relay_dsn, differences)
    return Reconciled(tuple(made), tuple(withdrawn), requeued)
