"""Exit 0 when a relay is connected to the ledger, as the database sees it."""

import os

import psycopg

QUESTION = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'throughline-relay'"
with psycopg.connect(os.environ["THROUGHLINE_LEDGER_DSN"], connect_timeout=3) as connection:
    row = connection.execute(QUESTION).fetchone()
raise SystemExit(0 if row and row[0] else 1)
