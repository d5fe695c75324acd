"""The ledger: a PostgreSQL database that proves where every artifact came from."""
