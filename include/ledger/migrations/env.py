"""Alembic's entry point: online only, one transaction for all revisions, a bounded wait for locks."""

from alembic import context
from sqlalchemy import create_engine, text

from include.ledger.models import Base

engine = create_engine(context.config.attributes["url"])
with engine.connect() as connection:
    connection.execute(text("SET lock_timeout = '5s'"))
    connection.commit()
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
