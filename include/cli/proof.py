"""``throughline verify | reconcile | sweep | replay``: whether all holds, and what mends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

BROKEN = 1
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def verify(
    job: Annotated[UUID | None, typer.Option(help="Compare the lineage server for this job only.")] = None,
    server: Annotated[bool, typer.Option(help="Also compare what the lineage server shows.")] = True,
    as_json: AsJson = False,
) -> None:
    """Check every invariant, trace every file of the store, compare the lineage server; status 1 if any breaks."""
    from include.ledger.session import transaction
    from include.marquez.client import connect
    from include.proof.differences import compare
    from include.proof.verify import traced
    from include.proof.verify import verify as findings
    from include.stack.adopt import adopt

    adopt()
    with transaction() as session:
        broken = findings(session)
        files = traced(session)
        compared = None
        if server:
            with connect() as client:
                compared = compare(session, client, job_id=job)
    bad = bool(broken or (compared and compared.differences))
    if as_json:
        found = {
            "findings": [finding.as_json() for finding in broken],
            "files": files.files,
            "traced": files.traced,
            "untraced": list(files.untraced),
            "lineage": asdict(compared) if compared else None,
        }
        typer.echo(json.dumps(found))
    else:
        for finding in broken:
            typer.echo(f"{finding.invariant}: {finding.subject}: {finding.problem}. {finding.remedy}")
        typer.echo(f"{files.traced} of {files.files} files traced")
        for path in files.untraced:
            typer.echo(f"  no line: {path} (left by a death? throughline sweep)")
        if compared:
            for difference in compared.differences:
                typer.echo(str(difference))
            typer.echo(
                f"lineage: {compared.jobs} jobs, {compared.datasets} datasets, {compared.runs} runs, "
                f"{len(compared.differences)} differences"
            )
        typer.echo("something does not hold" if bad else "all invariants hold")
    raise typer.Exit(BROKEN if bad else 0)


def reconcile(
    grace_s: Annotated[float, typer.Option(help="Leave runs alone that ended less than this ago.")] = 30.0,
    as_json: AsJson = False,
) -> None:
    """Make the missing ends of runs from the ledger's facts; the relay delivers them."""
    from include.ledger.session import writer_dsn
    from include.proof.reconcile import reconcile as ends
    from include.stack.adopt import adopt

    adopt()
    made = ends(writer_dsn(), grace_s)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in made], default=str))
        return
    for one in made:
        typer.echo(f"{one.event_type} {one.job_name} {one.run_id}")
    typer.echo(f"{len(made)} ends synthesised")


def sweep(
    delete: Annotated[bool, typer.Option(help="Delete what is found; without it, only say it.")] = False,
    hours: Annotated[float, typer.Option(min=1.0, help="Leave alone what is younger.")] = 24.0,
    as_json: AsJson = False,
) -> None:
    """Find temporaries and files that no row names, left behind by a death."""
    from include.ledger.session import transaction
    from include.proof.sweep import sweep as swept
    from include.stack.adopt import adopt

    adopt()
    with transaction() as session:
        found = swept(session, dry_run=not delete, older_than_s=3600 * hours)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    verb = "deleted" if delete else "would delete"
    for path in (*found.temporaries, *found.orphans):
        typer.echo(f"{verb} {path}")
    typer.echo(f"{len(found.temporaries)} temporaries, {len(found.orphans)} files without a row")


def replay(
    job: Annotated[UUID | None, typer.Option(help="Only this job's events.")] = None,
    dead: Annotated[bool, typer.Option(help="Only events that the server refused.")] = False,
    to: Annotated[
        str | None, typer.Option(help="Send to this server now; delivery state stays as it is.")
    ] = None,
) -> None:
    """Send events again: by the relay to the server in use, or with --to straight to any server, in order."""
    from include.ledger.session import relay_dsn
    from include.marquez.client import MarquezClient
    from include.proof.replay import reset, send
    from include.stack.adopt import adopt

    adopt()
    if to is None:
        typer.echo(f"{reset(relay_dsn(), job_id=job, dead=dead)} events wait for the relay")
        return
    with MarquezClient(to) as client:
        typer.echo(f"{send(relay_dsn(), client.deliver, job_id=job, dead=dead)} events sent to {to}")
