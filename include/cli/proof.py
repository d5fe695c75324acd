"""``throughline verify | inputs-differ | reconcile | sweep | replay``: whether all holds, and what mends it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from include.marquez.client import MarquezClient
    from include.proof.reconcile import Reconciled
    from include.proof.whereabouts import Orchestrator

BROKEN = 1
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Days = Annotated[
    float | None, typer.Option(min=0.0, help="Compare the lineage server for runs of the last days only.")
]
TokenVariable = Annotated[
    str | None,
    typer.Option(help="With --to: the environment variable that holds that server's bearer token."),
]
Grace = Annotated[float, typer.Option(help="Leave runs alone that ended less than this ago, in seconds.")]


def verify(
    job: Annotated[UUID | None, typer.Option(help="Look at this job only.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this invariant (I1 to I11); may be repeated.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Reconcile first: missing and doubled ends, lost events.")
    ] = False,
    server: Annotated[bool, typer.Option(help="Also compare what the lineage server shows.")] = True,
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Check every invariant, trace every file of the store, compare the lineage server; status 1 if any breaks."""
    from include.artifacts.store import Store
    from include.ledger.session import transaction
    from include.marquez.client import connect
    from include.proof.differences import compare
    from include.proof.files import Digests
    from include.proof.verify import traced
    from include.proof.verify import verify as findings
    from include.settings import settings
    from include.stack.adopt import adopt

    adopt()
    mended = _mend(server=server, grace_s=30.0, job=job, since=_ago(days)) if repair else None
    digests = Digests(Store(settings().store).root)  # every file is read once, for I3 and for its line
    files = compared = None
    with transaction() as session:
        broken = findings(session, only=only or (), job_id=job, digests=digests)
        if not only:
            files = traced(session, job_id=job, digests=digests)
        if server and not only:
            with connect() as client:
                compared = compare(session, client, job_id=job, since=_ago(days))
    bad = bool(broken or (compared and compared.differences))
    if as_json:
        found = {
            "findings": [finding.as_json() for finding in broken],
            "files": files.files if files else None,
            "traced": files.traced if files else None,
            "untraced": list(files.untraced) if files else None,
            "lineage": asdict(compared) if compared else None,
            "repaired": asdict(mended) if mended else None,
        }
        typer.echo(json.dumps(found, default=str))
    else:
        if mended:
            _tell(mended)
        for finding in broken:
            typer.echo(str(finding))
        if files:
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


def inputs_differ(
    job: Annotated[UUID | None, typer.Option(help="Only this job's runs.")] = None, as_json: AsJson = False
) -> None:
    """List inputs whose version the lineage server infers wrongly, with the digests really read; status 1 if any."""
    from include.ledger.session import transaction
    from include.marquez.client import connect
    from include.proof.inferred import misread
    from include.stack.adopt import adopt

    adopt()
    with transaction() as session, connect() as client:
        found = misread(session, client, job_id=job)
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str))
    else:
        for one in found.misread:
            typer.echo(str(one))
        typer.echo(
            f"{found.inputs} inputs, {len(found.misread)} inferred wrongly, {found.partial} named only in part"
        )
    raise typer.Exit(BROKEN if found.misread else 0)


def reconcile(
    grace_s: Grace = 30.0,
    job: Annotated[UUID | None, typer.Option(help="Only this job's runs.")] = None,
    to: Annotated[
        str | None, typer.Option(help="Compare this server and change nothing; status 1 if it differs.")
    ] = None,
    token_variable: TokenVariable = None,
    server: Annotated[bool, typer.Option(help="Also requeue what the lineage server lost.")] = True,
    days: Days = None,
    as_json: AsJson = False,
) -> None:
    """Make missing starts and ends of runs, leave one end to each, requeue what the server lost; the relay delivers."""
    from include.stack.adopt import adopt

    adopt()
    if to is not None:
        _compare_with(_server(to, token_variable), job, _ago(days), as_json=as_json)
        return
    mended = _mend(server=server, grace_s=grace_s, job=job, since=_ago(days))
    if as_json:
        typer.echo(json.dumps(asdict(mended), default=str))
    else:
        _tell(mended)


def _ago(days: float | None) -> datetime | None:
    return None if days is None else datetime.now(UTC) - timedelta(days=days)


def _server(url: str, token_variable: str | None) -> MarquezClient:
    from include.errors import ConfigurationError
    from include.marquez.client import MarquezClient

    token = os.environ.get(token_variable) if token_variable else None
    if token_variable and not token:
        raise ConfigurationError(f"--token-variable: the environment has no {token_variable}")
    return MarquezClient(url, token=token)


def _compare_with(server: MarquezClient, job: UUID | None, since: datetime | None, *, as_json: bool) -> None:
    from include.ledger.session import transaction
    from include.proof.differences import compare

    with server as client, transaction() as session:
        compared = compare(session, client, job_id=job, since=since)
    if as_json:
        typer.echo(json.dumps(asdict(compared), default=str))
    else:
        for difference in compared.differences:
            typer.echo(str(difference))
        typer.echo(
            f"{client.url}: {compared.jobs} jobs, {compared.datasets} datasets, {compared.runs} runs, "
            f"{len(compared.differences)} differences"
        )
    raise typer.Exit(BROKEN if compared.differences else 0)


def _mend(*, server: bool, grace_s: float, job: UUID | None, since: datetime | None) -> Reconciled:
    from include.errors import ConfigurationError, ProviderUnavailable
    from include.ledger.session import relay_dsn, writer_dsn
    from include.marquez.client import connect
    from include.operators.whereabouts import connect as airflow
    from include.proof.reconcile import reconcile as mend

    with ExitStack() as open_until_done:
        orchestrator: Orchestrator | None
        try:
            orchestrator = open_until_done.enter_context(airflow())
        except (ConfigurationError, ProviderUnavailable) as problem:
            orchestrator = None
            typer.echo(f"throughline: the ledger decides alone: {problem}", err=True)
        client = open_until_done.enter_context(connect()) if server else None
        return mend(
            writer_dsn(),
            relay_dsn(),
            orchestrator=orchestrator,
            client=client,
            grace_s=grace_s,
            job_id=job,
            since=since,
        )


def _tell(mended: Reconciled) -> None:
    for made in mended.synthesised:
        typer.echo(f"{made.event_type} {made.job_name} {made.run_id}")
    for lost in mended.withdrawn:
        typer.echo(
            f"event {lost.stands} stands for {lost.job_name} {lost.run_id}; withdrawn: {lost.withdrawn}"
        )
    typer.echo(
        f"{len(mended.synthesised)} events synthesised, {len(mended.withdrawn)} runs left with one end, "
        f"{mended.requeued} events wait to be sent again"
    )


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
    for path in (*found.temporaries, *found.orphans, *found.scratch):
        typer.echo(f"{verb} {path}")
    typer.echo(
        f"{len(found.temporaries)} temporaries, {len(found.orphans)} files without a row,"
        f" {len(found.scratch)} scratch folders"
    )


def replay(
    job: Annotated[UUID | None, typer.Option(help="Only this job's events.")] = None,
    dead: Annotated[bool, typer.Option(help="Only events that the server refused.")] = False,
    to: Annotated[
        str | None, typer.Option(help="Send to this server now; delivery state stays as it is.")
    ] = None,
    token_variable: TokenVariable = None,
    as_json: AsJson = False,
) -> None:
    """Send events again: by the relay to the server in use, or with --to straight to any server, in order.

    Status 1 if that server refused any.
    """
    from include.ledger.session import relay_dsn
    from include.proof.replay import reset, send
    from include.stack.adopt import adopt

    adopt()
    if to is None:
        waiting = reset(relay_dsn(), job_id=job, dead=dead)
        typer.echo(json.dumps({"waiting": waiting}) if as_json else f"{waiting} events wait for the relay")
        return
    with _server(to, token_variable) as client:
        sent = send(relay_dsn(), client, job_id=job, dead=dead, progress=_counting)
    if as_json:
        typer.echo(json.dumps(asdict(sent)))
    else:
        for event in sent.refused:
            typer.echo(
                f"{event.event_type or 'declaration'} {event.job_name} {event.run_id or ''}: {event.error}"
            )
        refused = f", {len(sent.refused)} refused" if sent.refused else ""
        typer.echo(f"{sent.taken} events sent to {to}{refused}")
    raise typer.Exit(BROKEN if sent.refused else 0)


def _counting(done: int, total: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\r{done} of {total} events", err=True, nl=done == total)
