"""The server as a process: token, limits, compression, health, its end, its start on a used database."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from include.errors import ConfigurationError
from include.marquez.client import MarquezClient
from include.marquez.server.metrics import OUTCOMES
from include.marquez.server.serving import serve
from include.stack.postgres import free_port

pytestmark = pytest.mark.slow

EVENT = {
    "eventType": "COMPLETE",
    "eventTime": "2026-03-01T00:00:00Z",
    "producer": "https://example.org/p",
    "run": {"runId": str(uuid4())},
    "job": {"namespace": "serving", "name": "j"},
}
JSON = {"content-type": "application/json"}


def test_the_admin_port_tells_health_name_and_metrics(lineage_server: Any) -> None:
    ping = httpx.get(f"{lineage_server.admin_url}/ping")
    assert (ping.text, ping.headers["content-type"].partition(";")[0]) == ("pong\n", "text/plain")
    health = httpx.get(f"{lineage_server.admin_url}/healthcheck")
    assert health.status_code == 200
    assert health.json()["postgresql"]["healthy"] is True
    assert httpx.get(f"{lineage_server.url}/api/v1/namespaces").status_code == 200
    assert 'lineage_requests_total{status="' in httpx.get(f"{lineage_server.admin_url}/metrics").text
    assert (
        httpx.get(f"{lineage_server.url}/api/v1/namespaces")
        .headers["x-lineage-server"]
        .startswith("embedded ")
    )


def test_gzip_is_taken_and_bad_or_boundless_gzip_is_not(lineage_server: Any) -> None:
    url, packed = f"{lineage_server.url}/api/v1/lineage", JSON | {"content-encoding": "gzip"}
    body = gzip.compress(json.dumps(EVENT).encode())
    assert httpx.post(url, content=body, headers=packed).status_code == 201
    assert httpx.post(url, content=body[:-20], headers=packed).status_code == 400
    assert httpx.post(url, content=b"no gzip", headers=packed).status_code == 400
    bomb = gzip.compress(b" " * 200_000_000, 9)
    assert len(bomb) < 1_000_000
    assert httpx.post(url, content=bomb, headers=packed, timeout=30).status_code == 413


def test_a_body_above_the_limit_is_refused_and_one_below_taken(lineage_server: Any) -> None:
    url = f"{lineage_server.url}/api/v1/lineage"
    facet = {"_producer": "https://p", "_schemaURL": "https://s", "text": "x" * 12_000_000}
    big = EVENT | {"run": {"runId": str(uuid4()), "facets": {"big": facet}}}
    assert httpx.post(url, content=json.dumps(big), headers=JSON, timeout=60).status_code == 201
    too_big = httpx.post(url, content=b" " * (32 * 1024 * 1024 + 1), headers=JSON, timeout=60)
    assert too_big.status_code == 413
    with pytest.raises(httpx.HTTPError):  # a body without end is cut off while it is sent, or refused
        httpx.post(url, content=(b" " * 1_000_000 for _ in range(40)), headers=JSON).raise_for_status()


def test_a_token_is_asked_of_every_request_but_the_admin_port(lineage_server: Any) -> None:
    with lineage_server.another(MARQUEZ_TOKEN="s3cret") as server:
        path = f"{server.url}/api/v1/namespaces"
        assert httpx.get(path).status_code == 401
        assert httpx.post(f"{server.url}/api/v1/lineage", json=EVENT).status_code == 401
        assert httpx.get(path, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert httpx.get(f"{server.admin_url}/ping").status_code == 200
        with MarquezClient(server.url, token="s3cret") as client:
            client.deliver(EVENT)
            assert client.job("serving", "j")["name"] == "j"


def test_a_read_only_server_answers_and_changes_nothing(lineage_server: Any) -> None:
    with lineage_server.another() as server:
        httpx.post(f"{server.url}/api/v1/lineage", json=EVENT).raise_for_status()
        with server.another(server.dsn, THROUGHLINE_LINEAGE_READ_ONLY="true") as reader:
            job = f"{reader.url}/api/v1/namespaces/serving/jobs/j"
            assert httpx.get(job).json()["name"] == "j"
            for method, path in (
                ("POST", "/lineage"),
                ("POST", "/lineage/batch"),
                ("PUT", "/tags/x"),
                ("DELETE", "/namespaces/serving/jobs/j"),
            ):
                refused = httpx.request(method, f"{reader.url}/api/v1{path}", content=b"{}", headers=JSON)
                assert refused.status_code == 403
                assert "THROUGHLINE_LINEAGE_READ_ONLY" in refused.json()["message"]
            assert httpx.get(job).json()["latestRun"]["state"] == "COMPLETED"


def test_a_statement_that_takes_too_long_is_given_up(lineage_server: Any) -> None:
    with lineage_server.another(THROUGHLINE_LINEAGE_STATEMENT_TIMEOUT_S="0.5") as server:
        url = f"{server.url}/api/v1/lineage"
        with psycopg.connect(server.dsn) as connection:
            connection.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
            given_up = httpx.post(url, json=EVENT, timeout=60)
            assert (given_up.status_code, given_up.json()["code"]) == (503, 503)
            assert httpx.get(f"{server.url}/api/v1/events/lineage", timeout=60).status_code == 503
        assert httpx.get(f"{server.url}/api/v1/namespaces/serving/jobs/j").status_code == 404
        assert httpx.post(url, json=EVENT).status_code == 201


def test_the_body_limit_is_a_setting(lineage_server: Any) -> None:
    with lineage_server.another(THROUGHLINE_LINEAGE_BODY_LIMIT_MB="1") as server:
        url, body = f"{server.url}/api/v1/lineage", json.dumps(EVENT).encode()
        assert httpx.post(url, content=body + b" " * 1_000_000, headers=JSON).status_code == 201
        assert httpx.post(url, content=body + b" " * 1_100_000, headers=JSON).status_code == 413


def test_metrics_count_what_became_of_events(lineage_server: Any) -> None:
    with lineage_server.another() as server:
        url = f"{server.url}/api/v1/lineage"
        fresh = EVENT | {"run": {"runId": str(uuid4())}}
        for event in (EVENT, EVENT, {"eventType": "START"}):
            httpx.post(url, json=event)
        httpx.post(f"{url}/batch", json=[EVENT, fresh, {}])
        response = httpx.get(f"{server.admin_url}/metrics")
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    lines = response.text.split("\n")
    assert lines[-2:] == ["# EOF", ""]
    samples = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    found = {outcome: samples[f'lineage_events_total{{outcome="{outcome}"}}'] for outcome in OUTCOMES}
    assert found == {"stored": "2", "repeated": "2", "refused": "2"}
    assert (
        samples["lineage_ingest_seconds_count"] == samples['lineage_ingest_seconds_bucket{le="+Inf"}'] == "3"
    )
    assert float(samples["lineage_ingest_seconds_sum"]) > 0
    assert samples['lineage_requests_total{status="422"}'] == "1"
    assert samples['lineage_request_seconds_count{kind="write"}'] == "4"
    assert samples['lineage_pool_connections{pool="ingest",state="busy"}'] == "0"


def test_the_api_page_lists_every_route(lineage_server: Any) -> None:
    page = httpx.get(f"{lineage_server.url}/api/v1/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    document = httpx.get(f"{lineage_server.url}/api/v1/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in page.text


def test_every_line_of_the_log_is_json(postgres: Any) -> None:
    dsn = postgres.create_database("lineage")
    environment = os.environ | {
        "THROUGHLINE_LINEAGE_DSN": dsn,
        "MARQUEZ_URL": f"http://127.0.0.1:{free_port()}",
        "MARQUEZ_ADMIN_URL": f"http://127.0.0.1:{free_port()}",
        "PYTHONPATH": str(Path(__file__).resolve().parents[4]),
    }
    command = [sys.executable, "-m", "include.marquez.server"]
    try:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(json.loads(line))
                if lines[-1]["event"] == "lineage server starts":
                    process.terminate()
    finally:
        postgres.drop_database(dsn)
    assert [line["event"] for line in lines if line["event"] != "migration applied"] == [
        "lineage server starts",
        "lineage server ended",
    ]
    assert {line["level"] for line in lines} == {"info"}


def test_more_than_this_machine_is_bound_only_with_a_token() -> None:
    with pytest.raises(ConfigurationError, match="MARQUEZ_TOKEN"):
        serve("0.0.0.0", 0, 0, "postgresql://nobody@127.0.0.1:1/none")


def test_a_taken_port_is_named(lineage_server: Any) -> None:
    port = int(lineage_server.url.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
        serve("127.0.0.1", port, 0, lineage_server.dsn)


def test_a_database_that_cannot_be_opened_is_named_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="THROUGHLINE_LINEAGE_DSN") as refusal:
        serve("127.0.0.1", 0, 0, "postgresql://nobody:hushhush@127.0.0.1:1/none")
    assert "hushhush" not in str(refusal.value)


def test_it_ends_within_five_seconds_with_clients_connected_and_starts_on_its_own_database(
    lineage_server: Any,
) -> None:
    with lineage_server.another() as server, MarquezClient(server.url) as client:
        client.deliver(EVENT)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
        assert time.monotonic() - begun < 5


def test_it_stays_small(lineage_server: Any) -> None:
    status = Path(f"/proc/{lineage_server.process.pid}/status")
    if not status.exists():
        pytest.skip("no /proc on this system")
    resident = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 400_000  # after the largest bodies above; at rest it is under 100 MB
