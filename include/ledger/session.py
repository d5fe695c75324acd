"""Connections to the ledger: one engine per process and role, short transactions, bounded waits."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from include.errors import ConfigurationError
from include.settings import settings


def sqlalchemy_url(dsn: str) -> str:
    """Return the SQLAlchemy form of a ``postgresql://`` DSN.

    >>> sqlalchemy_url("postgresql://u:p@127.0.0.1:5432/throughline")
    'postgresql+psycopg://u:p@127.0.0.1:5432/throughline'
    """
    scheme, separator, rest = dsn.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgresql", "postgres"}:
        raise ConfigurationError("the ledger needs a postgresql:// DSN; SQLite and others are not supported")
    return f"postgresql+psycopg://{rest}"


@cache
def engine(dsn: str, statement_timeout_ms: int = 60_000) -> Engine:
    """Return this process's engine for a DSN; a forked child must call `dispose` first."""
    return create_engine(
        sqlalchemy_url(dsn),
        pool_size=2,
        max_overflow=3,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "throughline",
            "options": f"-c statement_timeout={statement_timeout_ms} -c timezone=UTC",
        },
    )


def writer_dsn() -> str:
    """Return the ledger's DSN from the settings; ConfigurationError where there is none."""
    dsn = settings().ledger_dsn
    if dsn is None:
        raise ConfigurationError(
            'THROUGHLINE_LEDGER_DSN is not set: run `make up` and then `eval "$(throughline env)"`, '
            "or name the ledger's PostgreSQL yourself"
        )
    return dsn.get_secret_value()


def relay_dsn() -> str:
    """Return the DSN of the role that may change an event's delivery state."""
    dsn = settings().relay_dsn
    return dsn.get_secret_value() if dsn is not None else writer_dsn()


@contextmanager
def transaction(dsn: str | None = None) -> Iterator[Session]:
    """Yield a session whose work commits as a whole, or not at all."""
    with sessionmaker(engine(dsn or writer_dsn()), expire_on_commit=False).begin() as session:
        yield session
