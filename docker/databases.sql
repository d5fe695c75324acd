-- Databases, owners and roles, on the first start of the PostgreSQL container; the same that the embedded stack makes
-- (include/stack/databases.py), and a real Marquez's own. Passwords come from the container's environment.
\getenv airflow AIRFLOW_DB_PASSWORD
\getenv marquez MARQUEZ_DB_PASSWORD
\getenv owner LEDGER_OWNER_PASSWORD
\getenv writer LEDGER_WRITER_PASSWORD
\getenv reader LEDGER_READER_PASSWORD
\getenv relay LEDGER_RELAY_PASSWORD
\getenv retention LEDGER_RETENTION_PASSWORD

CREATE ROLE airflow LOGIN PASSWORD :'airflow';
CREATE ROLE marquez LOGIN PASSWORD :'marquez';
CREATE ROLE throughline_owner LOGIN PASSWORD :'owner';
CREATE ROLE throughline_writer LOGIN PASSWORD :'writer';
CREATE ROLE throughline_reader LOGIN PASSWORD :'reader';
CREATE ROLE throughline_relay LOGIN PASSWORD :'relay';
CREATE ROLE throughline_retention LOGIN PASSWORD :'retention';

CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE throughline OWNER throughline_owner;
-- Marquez's migrations need a database of their own user: a GRANT is not enough since PostgreSQL 15.
CREATE DATABASE marquez OWNER marquez;

REVOKE ALL ON DATABASE airflow FROM PUBLIC;
REVOKE ALL ON DATABASE throughline FROM PUBLIC;
REVOKE ALL ON DATABASE marquez FROM PUBLIC;
GRANT CONNECT ON DATABASE throughline
    TO throughline_writer, throughline_reader, throughline_relay, throughline_retention;
