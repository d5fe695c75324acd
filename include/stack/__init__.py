"""The embedded stack: PostgreSQL, the lineage server, Airflow and the relay under one supervisor."""
