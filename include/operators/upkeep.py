"""What the `upkeep` DAG does: deliver, reconcile, sweep; small functions that a task runs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any


def drain() -> str:
    """Deliver pending lineage events unless the relay is at work; return what was done."""
    from include.ledger.session import relay_dsn
    from include.lineage.relay import drain_once
    from include.marquez.client import connect

    with connect() as client:
        count = drain_once(relay_dsn(), client.deliver)
    return "the relay is at work" if count is None else f"delivered {count} events"


def reconcile() -> list[dict[str, Any]]:
    """Make the missing ends of runs from the ledger's facts; return them."""
    from include.ledger.session import writer_dsn
    from include.proof.reconcile import reconcile as ends

    return [{**asdict(made), "run_id": str(made.run_id)} for made in ends(writer_dsn())]


def sweep() -> dict[str, Any]:
    """Find what a death left behind, older than a day; delete it unless the form says dry run."""
    from airflow.sdk import get_current_context

    from include.ledger.session import transaction
    from include.proof.sweep import sweep as swept

    with transaction() as session:
        return asdict(swept(session, dry_run=bool(get_current_context()["params"]["dry_run"])))


def verify() -> int:
    """Check every invariant; return how many are broken, naming each in the log."""
    import structlog

    from include.errors import QualityGateFailed
    from include.ledger.session import transaction
    from include.proof.verify import verify as findings

    log = structlog.get_logger("throughline.verify")
    with transaction() as session:
        found = findings(session)
    for finding in found:
        log.warning("invariant broken", **finding.as_json())
    if found:
        raise QualityGateFailed(
            f"{len(found)} invariants are broken: {found[0].invariant}: {found[0].subject}"
        )
    return 0
