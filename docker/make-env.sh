#!/bin/sh
# Write docker/.env with fresh secrets, mode 0600; an existing file is kept.
set -eu
cd "$(dirname "$0")"
[ ! -e .env ] || { echo "docker/.env is there already: kept" >&2; exit 0; }
umask 077
secret() { head -c "$1" /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
{
    for name in POSTGRES_PASSWORD AIRFLOW_DB_PASSWORD MARQUEZ_DB_PASSWORD LEDGER_OWNER_PASSWORD LEDGER_WRITER_PASSWORD \
        LEDGER_READER_PASSWORD LEDGER_RELAY_PASSWORD LEDGER_RETENTION_PASSWORD AIRFLOW_SECRET_KEY; do
        echo "$name=$(secret 24)"
    done
    echo "AIRFLOW_JWT_SECRET=$(secret 64)"
    echo "AIRFLOW_FERNET_KEY=$(secret 32)="
    echo "AIRFLOW_ADMIN_PASSWORD=$(secret 12)"
} >.env.half
mv .env.half .env
echo "docker/.env written; the login is admin / $(sed -n 's/^AIRFLOW_ADMIN_PASSWORD=//p' .env)" >&2
