"""``throughline lineage-jobs``: tell the lineage server what the deployed tasks read and make, before any has run."""

from __future__ import annotations

import typer


def lineage_jobs() -> None:
    """Declare every task of the DAGs with its datasets, documentation and owner; unchanged ones are not told again."""
    import psycopg

    from include.ledger.session import writer_dsn
    from include.lineage.declarations import store_datasets, store_declarations
    from include.stack.adopt import adopt

    adopt()
    # Reads Airflow's configuration when it is imported.
    from include.operators.declarations import declared_datasets, deployed

    events = deployed()
    with psycopg.connect(writer_dsn(), autocommit=True) as connection:
        store_datasets(connection, declared_datasets())
        stored = store_declarations(connection, events)
    for name in stored:
        typer.echo(name)
    typer.echo(f"{len(events)} tasks, {len(stored)} declared anew")
