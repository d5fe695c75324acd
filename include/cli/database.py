"""``throughline db``: the ledger's schema."""

from __future__ import annotations

import typer

app = typer.Typer(help="The ledger's database schema.", no_args_is_help=True, add_completion=False)


@app.callback()
def db() -> None:
    """Keep ``upgrade`` a command of its own."""


@app.command()
def upgrade() -> None:
    """Bring the ledger's schema to this version; safe to repeat. Needs THROUGHLINE_LEDGER_ADMIN_DSN."""
    from include.errors import ConfigurationError
    from include.ledger import migrations
    from include.settings import settings

    dsn = settings().ledger_admin_dsn
    if dsn is None:
        raise ConfigurationError(
            'THROUGHLINE_LEDGER_ADMIN_DSN is not set: run eval "$(throughline env)", '
            "or name the ledger's owner yourself"
        )
    migrations.upgrade(dsn.get_secret_value())
    typer.echo("the ledger's schema is current")
