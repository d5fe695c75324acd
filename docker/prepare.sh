#!/bin/sh
# Runs once before the parts start: schemas, folders, the password file of Airflow's simple auth manager.
set -eu
umask 077
mkdir -p "$AIRFLOW_HOME" "$THROUGHLINE_STATE_DIR/lineage"
python - <<'PY'
import json, os, pathlib

path = pathlib.Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
path.write_text(json.dumps({os.environ["THROUGHLINE_AIRFLOW_USER"]: os.environ["THROUGHLINE_AIRFLOW_PASSWORD"]}))
PY
airflow db migrate
throughline db upgrade
throughline lineage-jobs
