"""Airflow's API server with its plugins, on the port given; writes down the routes of the panel it mounted.

Of Airflow's database it needs only the table of revoked tokens, so that is the only one there is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uvicorn
from airflow.api_fastapi.app import create_app
from airflow.models.revoked_token import RevokedToken
from airflow.settings import engine
from starlette.routing import Mount

if __name__ == "__main__":
    port, routes_file = int(sys.argv[1]), Path(sys.argv[2])
    RevokedToken.__table__.create(engine, checkfirst=True)
    app = create_app(apps="core")
    (panel,) = [route.app for route in app.routes if isinstance(route, Mount) and route.path == "/lineage"]
    found = [[route.path, sorted(getattr(route, "methods", None) or ["*"])] for route in panel.routes]
    routes_file.write_text(json.dumps(found))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
