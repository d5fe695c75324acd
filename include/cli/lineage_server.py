"""``throughline lineage-server``: serve the Marquez API from the embedded lineage database."""

from __future__ import annotations

from typing import Annotated

import typer


def lineage_server(
    host: Annotated[
        str, typer.Option(help="Address to bind; anything but this machine needs MARQUEZ_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="API port; default: that of MARQUEZ_URL.")] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="Admin port; default: that of MARQUEZ_ADMIN_URL.")
    ] = None,
) -> None:
    """Serve the Marquez API on the database of THROUGHLINE_LINEAGE_DSN until SIGTERM."""
    from include.marquez.server.serving import serve_from_settings

    serve_from_settings(host, port, admin_port)


def lineage_retention(
    days: Annotated[float, typer.Option(min=0.001, help="Remove runs whose last event is older.")],
    dry_run: Annotated[
        bool, typer.Option(help="Count the runs that would go at once, and remove none.")
    ] = False,
) -> None:
    """Remove old runs that nothing holds on to from the embedded lineage server's database."""
    from include.marquez.server.serving import remove_runs_older_than

    removed = remove_runs_older_than(days, dry=dry_run)
    if removed is None:
        typer.echo("a lineage server is removing old runs now; nothing was done")
        raise typer.Exit(1)
    if dry_run:
        typer.echo(f"{removed.runs} of {removed.looked_at} old runs would go")
    else:
        typer.echo(
            f"{removed.runs} of {removed.looked_at} old runs removed, with {removed.events} events and"
            f" {removed.versions} dataset versions"
        )
