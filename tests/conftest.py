"""Fixtures that every test may use: a real PostgreSQL, a migrated ledger, the whole running stack."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from include.errors import ProviderUnavailable
from tests.validity import SPEC, Validity

# Airflow reads these when it is first imported, which a test module may do: its home is a folder of this session.
ROOT = Path(__file__).resolve().parents[1]
os.environ["THROUGHLINE_ROOT"] = str(ROOT)
_AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="throughline-airflow-", ignore_cleanup_errors=True)
os.environ["AIRFLOW_HOME"] = _AIRFLOW_HOME.name
os.environ["AIRFLOW_CONFIG"] = str(ROOT / "airflow.cfg")
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{os.environ['AIRFLOW_HOME']}/unused.db"
os.environ["AIRFLOW__OPENLINEAGE__DISABLED"] = "True"

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL and its superuser."""

    host: str
    port: int
    user: str
    password: str

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def create_database(self, prefix: str = "t", template: str = "template1") -> str:
        """Create a database, empty or like a template, and return its DSN."""
        name = f"{prefix}_{uuid4().hex[:12]}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(create)
        return self.dsn(name)

    def drop_database(self, dsn: str) -> None:
        name = dsn.rsplit("/", 1)[1]
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server: the one THROUGHLINE_TEST_POSTGRES names, else the embedded one, started for this session."""
    named = os.environ.get("THROUGHLINE_TEST_POSTGRES")
    if named:
        info = psycopg.conninfo.conninfo_to_dict(named)
        yield Postgres(str(info["host"]), int(str(info["port"])), str(info["user"]), str(info["password"]))
        return
    from include.stack.postgres import temporary_cluster

    with (
        tempfile.TemporaryDirectory(prefix="throughline-pg-") as folder,
        temporary_cluster(Path(folder)) as dsn,
    ):
        info = psycopg.conninfo.conninfo_to_dict(dsn)
        yield Postgres(str(info["host"]), int(str(info["port"])), str(info["user"]), str(info["password"]))


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """DSN of an empty database that is dropped after the test."""
    dsn = postgres.create_database()
    yield dsn
    postgres.drop_database(dsn)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The optional folder of real inputs beside the repository; the test is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there: no real inputs")
    return folder


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Iterator[str]:
    """Name of a migrated ledger that other databases are made like: migrating each would cost seconds."""
    from include.ledger.migrations import upgrade

    dsn = postgres.create_database("migrated")
    upgrade(dsn)
    yield dsn.rsplit("/", 1)[1]
    postgres.drop_database(dsn)


@pytest.fixture
def ledger(
    postgres: Postgres, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A migrated ledger and an empty store; the settings of this process name them. Yields the DSN."""
    from include.ledger import session
    from include.settings import settings

    database = postgres.create_database("ledger", migrated)
    monkeypatch.setenv("THROUGHLINE_LEDGER_DSN", database)
    monkeypatch.setenv("THROUGHLINE_ARTIFACT_DIR", str(tmp_path / "artifacts"))
    settings.cache_clear()
    yield database
    session.engine(database).dispose()
    session.engine.cache_clear()
    settings.cache_clear()
    postgres.drop_database(database)


@pytest.fixture(scope="session")
def check_openlineage() -> Callable[[list[dict[str, Any]], str], int]:
    """Assert that events and all their facets are valid; return how many facets were."""
    if not SPEC.is_dir():
        pytest.skip("../shared/openlineage-spec is not there: no schemas")

    def check(events: list[dict[str, Any]], kind: str) -> int:
        validity = Validity()
        assert validity.problems(events, kind) == []
        return validity.facets

    return check


ENDED = {"success", "failed"}


@dataclass
class RunningStack:
    """A booted stack: addresses, its environment, and a few questions to it."""

    state_dir: Path
    sources: Path
    airflow_url: str
    marquez_url: str
    password: str
    environment: dict[str, str]
    api: Any
    fault_file: Path
    fault_marker: Path
    supervisor: Any
    user: str = "admin"
    seen_videos: list[str] = field(default_factory=list)

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear a run and wait until Airflow no longer calls it ended."""
        self.api.clear(dag_id, run_id)
        deadline = time.monotonic() + 60
        while self.api.dag_run(dag_id, run_id)["state"] in ENDED:
            assert time.monotonic() < deadline, f"{dag_id} {run_id} was not cleared"
            time.sleep(0.1)

    def program_fault(self, fault: str) -> None:
        """Kill the next process that reaches a fault point, once."""
        self.fault_marker.unlink(missing_ok=True)
        self.fault_file.write_text(fault)

    def fault_fired(self) -> bool:
        self.fault_file.unlink()
        return self.fault_marker.exists()

    def sample_trends(self) -> str:
        """The bundled trends sample, as CSV text."""
        return (ROOT / "include" / "medallion" / "samples" / "trends_sample.csv").read_text()

    def trigger(self, dag_id: str, conf: dict[str, Any], run_id: str | None = None) -> str:
        run_id = run_id or f"test__{uuid4()}"
        self.api.trigger(dag_id, run_id, conf)
        return run_id

    def wait(self, dag_id: str, run_id: str, *, review: str | None = None, minutes: float = 10) -> str:
        """Wait for a run's end, answering reviews of its job with `review`; return the state."""
        deadline = time.monotonic() + 60 * minutes
        while True:
            try:
                state = str(self.api.dag_run(dag_id, run_id)["state"])
            except (
                ProviderUnavailable
            ):  # an API server on a busy machine may take a minute over its first task
                state = "not known"
            if state in ENDED:
                return state
            if review is not None and state != "not known":
                for waiting in self.api.open_reviews():
                    self.api.answer_review(waiting, review, f"{review} by a test")
            if time.monotonic() > deadline:
                pytest.fail(
                    f"{dag_id} {run_id} is still {state} after {minutes} minutes: {self.unfinished()}"
                )
            time.sleep(0.5)

    def unfinished(self) -> list[str]:
        """Tell of every task that has not succeeded, in every run that goes on, with its state and try."""
        return [
            f"{dag_id} {run['dag_run_id']} {task['task_id']}[{task['map_index']}]: {task['state']}, try {task['try_number']}"
            for dag_id in self.api.dags()
            for run in self.api.dag_runs(dag_id, ("running", "queued"))
            for task in self.api.task_instances(dag_id, run["dag_run_id"])
            if task["state"] not in {"success", "skipped"}
        ]

    def run(self, dag_id: str, conf: dict[str, Any], *, review: str | None = None) -> tuple[str, str]:
        run_id = self.trigger(dag_id, conf)
        return run_id, self.wait(dag_id, run_id, review=review)

    def query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the ledger."""
        with psycopg.connect(self.environment["THROUGHLINE_LEDGER_DSN"], row_factory=dict_row) as connection:
            return connection.execute(sql, values).fetchall()

    def job_of(self, dag_id: str, run_id: str) -> UUID:
        rows = self.query("SELECT job_id FROM job_run WHERE dag_id = %s AND run_id = %s", dag_id, run_id)
        assert len(rows) == 1, f"{dag_id} {run_id} has no job"
        found: UUID = rows[0]["job_id"]
        return found

    def delivered(self, job_id: UUID, seconds: float = 60) -> None:
        """Wait until every event of a job is delivered, the end of its runs among them."""
        deadline = time.monotonic() + seconds
        sql = """
            SELECT count(*) FILTER (WHERE delivered_at IS NULL) AS pending,
                   count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead,
                   (SELECT count(*) FROM job_run WHERE job_id = %s) -
                   count(*) FILTER (WHERE job_name NOT LIKE '%%.%%' AND event_type IN ('COMPLETE', 'FAIL')) AS missing
            FROM event WHERE job_id = %s
        """
        while True:
            row = self.query(sql, job_id, job_id)[0]
            assert row["dead"] == 0
            if row["pending"] == 0 and row["missing"] <= 0:
                return
            if time.monotonic() > deadline:
                pytest.fail(f"events of job {job_id} are not delivered: {row}")
            time.sleep(0.5)

    def invalid_events(self) -> list[str]:
        """Return what is wrong with any stored event, with the schemas where they are at hand."""
        validity = Validity()
        runs = (row["body"] for row in self.query("SELECT body FROM event ORDER BY seq"))
        jobs = (row["body"] for row in self.query("SELECT body FROM job_declaration ORDER BY seq"))
        return [*validity.problems(runs, "RunEvent"), *validity.problems(jobs, "JobEvent")]

    def airflow(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an `airflow` command as `eval "$(throughline env)"` would let a person."""
        return subprocess.run(
            [str(ROOT / ".venv" / "bin" / "airflow"), *words]
            if (ROOT / ".venv" / "bin" / "airflow").exists()
            else ["airflow", *words],
            env=os.environ | self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=check,
            timeout=300,
        )

    def throughline(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "include.cli", *words],
            env=os.environ | self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=check,
            timeout=300,
        )


@contextmanager
def running_stack(folder: Path, **more: str) -> Iterator[RunningStack]:
    """Boot everything in a state folder of its own, with more variables for its parts; delete it at the end."""
    from include.settings import settings
    from include.stack import airflow_api, credentials, lifecycle, parts
    from include.stack.supervisor import Supervisor

    sources, plan, marker = folder / "sources", folder / "fault", folder / "fired"
    for table in ("trends", "leads", "assessments"):
        (sources / table).mkdir(parents=True)
    state_dir = folder / "state"
    state_dir.mkdir(mode=0o700)
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("THROUGHLINE_LEDGER")
    }
    environment |= {
        "THROUGHLINE_SOURCES_DIR": str(sources),
        "THROUGHLINE_TESTING": "1",
        "THROUGHLINE_FAULT": f"@{plan}",
        "THROUGHLINE_FAULT_MARKER": str(marker),
    }
    for name in ("MARQUEZ_URL", *(key for key in environment if key.startswith("AIRFLOW__"))):
        environment.pop(name, None)
    before = dict(os.environ)
    try:
        started = lifecycle.up(state_dir, environment | more, lambda line: print(f"stack: {line}"))
        assert started.broken == ()
        secrets = credentials.read(state_dir)
        variables = parts.gathered(parts.variables(started.stack, secrets), parts.SHELL)
        variables |= {"THROUGHLINE_SOURCES_DIR": str(sources)} | more
        os.environ.update(variables)
        settings.cache_clear()
        with airflow_api.Api(started.stack, secrets) as api:
            yield RunningStack(
                state_dir=state_dir,
                sources=sources,
                airflow_url=started.stack.airflow_url,
                marquez_url=started.stack.lineage_url,
                password=secrets.airflow_admin_password,
                environment=variables,
                api=api,
                fault_file=plan,
                fault_marker=marker,
                supervisor=Supervisor(started.stack),
            )
    finally:
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()
        lifecycle.delete(state_dir, lambda line: print(f"stack: {line}"))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Boot everything in a state folder of its own; stop it at the end of the session.

    Whatever was done to it, every event that it stored is valid.
    """
    with running_stack(tmp_path_factory.mktemp("stack")) as booted:
        yield booted
        assert booted.invalid_events() == []


@dataclass(frozen=True)
class LineageServer:
    """The embedded lineage server in a process of its own, on a database of its own."""

    url: str
    admin_url: str
    dsn: str
    process: subprocess.Popen[bytes]
    postgres: Postgres

    @classmethod
    @contextmanager
    def running(
        cls, postgres: Postgres, used_dsn: str | None = None, **environment: str
    ) -> Iterator[LineageServer]:
        """Start one on free ports of this machine and end it; its database is `used_dsn`, else one that lives as long."""
        ports = []
        for _ in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname()[1])
        dsn = used_dsn or postgres.create_database("lineage")
        url, admin_url = (f"http://127.0.0.1:{port}" for port in ports)
        variables = {
            "THROUGHLINE_LINEAGE_DSN": dsn,
            "MARQUEZ_URL": url,
            "MARQUEZ_ADMIN_URL": admin_url,
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "include.marquez.server"]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command, env={**os.environ, **variables, **environment}, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                deadline = time.monotonic() + 60
                while process.poll() is None and time.monotonic() < deadline:
                    try:
                        if httpx.get(f"{admin_url}/ping", timeout=2).text == "pong\n":
                            break
                    except httpx.HTTPError:
                        time.sleep(0.05)
                else:
                    log.seek(0)
                    raise AssertionError(f"the lineage server did not start:\n{log.read().decode()}")
                yield cls(url, admin_url, dsn, process, postgres)
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                if used_dsn is None:
                    postgres.drop_database(dsn)

    def another(
        self, used_dsn: str | None = None, **environment: str
    ) -> AbstractContextManager[LineageServer]:
        """Start a second one, on an empty database or on a used one."""
        return LineageServer.running(self.postgres, used_dsn, **environment)


@pytest.fixture(scope="session")
def lineage_server(postgres: Postgres) -> Iterator[LineageServer]:
    """One embedded lineage server for the session; tests keep apart by their names."""
    with LineageServer.running(postgres) as server:
        yield server


@dataclass(frozen=True)
class Campaign:
    """One finished campaign."""

    run_id: str
    job_id: UUID
    state: str


@pytest.fixture(scope="session")
def campaign(stack: RunningStack) -> Campaign:
    """One campaign through all three families, its review approved over REST, its events delivered."""
    run_id, state = stack.run("campaign", {"theme": "What a test watches", "n_leads": 1}, review="Approve")
    job_id = stack.job_of("campaign", run_id)
    if state == "success":
        stack.delivered(job_id)
    return Campaign(run_id, job_id, state)


@pytest.fixture
def marquez(stack: RunningStack) -> Callable[[str], Any]:
    """GET a path of the lineage server."""
    import httpx

    def get(path: str) -> Any:
        return json.loads(httpx.get(f"{stack.marquez_url}/api/v1{path}", timeout=30).raise_for_status().text)

    return get
