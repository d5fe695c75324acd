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
