"""What the `upkeep` DAG does: deliver, reconcile, sweep, check; small functions that a task runs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from include.errors import ConfigurationError, ProviderRefused, ProviderUnavailable, QualityGateFailed

log = structlog.get_logger("throughline.upkeep")
LOOK_BACK = timedelta(hours=25)  # a run of this DAG may fail and be made up for a day later
WHOLE_STORE = ("I3",)  # every file: `throughline verify` reads them all, an hour reads a share


def drain() -> str:
    """Take in this machine's spool, deliver pending events unless the relay is at work; return what was done."""
    from include.ledger.session import relay_dsn
    from include.lineage.relay import drain_once
    from include.lineage.spool import Spool
    from include.marquez.client import connect
    from include.settings import settings

    with connect() as client:
        count = drain_once(relay_dsn(), client, Spool(settings().spool_dir))
    return "the relay is at work" if count is None else f"delivered {count} events"


def reconcile() -> dict[str, Any]:
    """Make missing starts and ends, leave one end to every run, requeue what the server lost; return what was done.

    Airflow and the lineage server are asked where they answer; without them the ledger decides alone.
    """
    from include.ledger.session import relay_dsn, writer_dsn
    from include.marquez.client import connect as lineage_server
    from include.operators.whereabouts import connect as airflow
    from include.proof.reconcile import reconcile as mend

    since = datetime.now(UTC) - LOOK_BACK
    with ExitStack() as open_until_done:
        try:
            orchestrator = open_until_done.enter_context(airflow())
        except (ConfigurationError, ProviderUnavailable) as error:
            log.warning("Airflow cannot be asked; the ledger decides alone", error=str(error))
            orchestrator = None
        client = open_until_done.enter_context(lineage_server())
        try:
            done = mend(writer_dsn(), relay_dsn(), orchestrator=orchestrator, client=client, since=since)
        except (ProviderUnavailable, ProviderRefused) as error:
            log.warning("the lineage server cannot be compared now", error=str(error))
            done = mend(writer_dsn(), relay_dsn(), orchestrator=orchestrator)
    for made in done.synthesised:
        log.warning("event synthesised", run=str(made.run_id), job=made.job_name, event=made.event_type)
    for lost in done.withdrawn:
        log.warning("end withdrawn", run=str(lost.run_id), job=lost.job_name, stands=lost.stands)
    return {
        "synthesised": [f"{made.event_type} {made.job_name} {made.run_id}" for made in done.synthesised],
        "withdrawn": [f"{lost.job_name} {lost.run_id}" for lost in done.withdrawn],
        "requeued": done.requeued,
    }


def sweep() -> dict[str, Any]:
    """Find what a death left behind, older than a day; delete it unless the form says dry run."""
    from airflow.sdk import get_current_context

    from include.ledger.session import transaction
    from include.proof.sweep import sweep as swept

    with transaction() as session:
        return asdict(swept(session, dry_run=bool(get_current_context()["params"]["dry_run"])))


def read_back() -> dict[str, Any]:
    """Read the files of the store whose last check lies furthest back; raise when one is missing or altered."""
    from include.ledger.session import transaction
    from include.proof.rolling import sample

    with transaction() as session:
        found = sample(session)
    for bad in found.bad:
        log.error("artifact file damaged", path=bad.path, sha256=bad.sha256, problem=bad.problem)
    if found.bad:
        first = found.bad[0]
        raise QualityGateFailed(
            f"{len(found.bad)} files of the store are damaged: {first.path}: {first.problem}; "
            "restore them from the backup of the store"
        )
    return {"files": found.files, "size_bytes": found.size_bytes}


def verify() -> int:
    """Check the invariants; return how many are broken, naming each in the log."""
    from include.ledger.session import transaction
    from include.proof.verify import verify as findings

    with transaction() as session:
        found = findings(session, skip=WHOLE_STORE, since=datetime.now(UTC) - LOOK_BACK)
    for finding in found:
        log.warning("invariant broken", **finding.as_json())
    if found:
        first = found[0]
        raise QualityGateFailed(
            f"{len(found)} findings: {first.invariant} {first.sentence}: {first.subject}: {first.problem}"
        )
    return 0
