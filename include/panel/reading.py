"""The ledger as the panel sees it: the reading role, read-only transactions, three seconds for each statement."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session

from include.ledger.session import engine, writer_dsn
from include.settings import settings

STATEMENT_TIMEOUT_MS = 3_000


def reader_dsn() -> str:
    """Return the DSN of the reading role, else the writer's; ConfigurationError where there is neither."""
    dsn = settings().ledger_reader_dsn
    return dsn.get_secret_value() if dsn is not None else writer_dsn()


def open_ledger() -> Iterator[Session]:
    """Yield a session whose one transaction sees one state and can change nothing."""
    pool = engine(reader_dsn(), STATEMENT_TIMEOUT_MS)
    reading = pool.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with Session(reading, expire_on_commit=False) as session:
        yield session


LedgerDep = Annotated[Session, Depends(open_ledger)]
