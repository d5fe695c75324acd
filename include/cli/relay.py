"""``throughline relay``: deliver the event table to the lineage server, until told to stop."""

from __future__ import annotations

from typing import Annotated

import typer


def relay(
    once: Annotated[bool, typer.Option(help="Deliver what is pending and end.")] = False,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print the state of delivery as OpenMetrics text and end.")
    ] = False,
) -> None:
    """Post lineage events in order per job, at least once, until SIGTERM. One relay works, others wait."""
    from include.ledger.session import relay_dsn
    from include.lineage.backlog import openmetrics, read_backlog
    from include.lineage.relay import Relay, drain_once
    from include.lineage.spool import Spool
    from include.marquez.client import connect
    from include.settings import settings
    from include.stack.adopt import adopt

    adopt()
    spool = Spool(settings().spool_dir)
    if metrics:
        typer.echo(openmetrics(read_backlog(relay_dsn(), spool)), nl=False)
        return
    with connect() as client:
        if once:
            count = drain_once(relay_dsn(), client, spool)
            typer.echo("another relay is at work" if count is None else f"delivered {count} events")
            raise typer.Exit(1 if count is None else 0)
        Relay(relay_dsn(), client, spool).run()
