"""Alembic's tree of the ledger; `upgrade` is what `throughline db upgrade` runs."""

from importlib.resources import files

from alembic import command
from alembic.config import Config

from include.ledger.session import sqlalchemy_url


def config(dsn: str) -> Config:
    """Return an Alembic configuration for one ledger database."""
    made = Config()
    made.set_main_option("script_location", str(files("include.ledger.migrations")))
    made.attributes["url"] = sqlalchemy_url(dsn)
    return made


def upgrade(dsn: str, revision: str = "head") -> None:
    """Bring the ledger at `dsn` (its owner's) to a revision; nothing changes when it is there."""
    command.upgrade(config(dsn), revision)


def downgrade(dsn: str, revision: str) -> None:
    """Take the ledger back to a revision."""
    command.downgrade(config(dsn), revision)
