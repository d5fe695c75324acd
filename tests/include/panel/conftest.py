"""A ledger with jobs, a lineage server with events, and Airflow's API server with the panel in it."""

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
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
import pytest

from include.ledger.jobs import close_job, open_job
from include.ledger.session import transaction
from include.stage import Coordinates, Stage, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))

USERS = {
    "admin": "admin",
    "op": "op",
    "user": "user",
    "viewer": "viewer",
    "narrow": "viewer",
    "outsider": "viewer",
}


def stage(name: str, family: str = "video") -> Stage:
    return Stage(name, family, f"bodies:{name}", code=("include/errors.py",))


@dataclass
class World:
    """What the ledger, the store and the lineage server hold."""

    environment: dict[str, str]
    store: Path
    words: Path
    job: UUID = field(default_factory=uuid4)
    again: UUID = field(default_factory=uuid4)
    broken: UUID = field(default_factory=uuid4)
    secret: UUID = field(default_factory=uuid4)
    mixed: UUID = field(default_factory=uuid4)

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let this process work with this world's ledger and store, and no longer than that."""
        from include.settings import settings

        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            settings.cache_clear()
            try:
                yield
            finally:
                settings.cache_clear()

    def open(self, job: UUID, dag_id: str, run_id: str, **params: Any) -> None:
        with self.here(), transaction() as session:
            open_job(
                session,
                derived=job,
                given=None,
                dag_id=dag_id,
                run_id=run_id,
                params=params,
                theme=params.get("theme"),
            )

    def close(self, job: UUID, run_id: str, status: str, error: str | None = None) -> None:
        with self.here(), transaction() as session:
            close_job(session, job, dag_id="video", run_id=run_id, status=status, error=error)

    def run(self, job: UUID, name: str, dag_id: str, run_id: str, **params: Any) -> None:
        at = Coordinates(dag_id=dag_id, run_id=run_id, task_id=name, ol_run_id=uuid4())
        with self.here():
            run_stage(stage(name), job_id=job, params=params, at=at)

    def artifacts(self, job: UUID) -> dict[str, dict[str, Any]]:
        from include.ledger.history import artifacts_of

        with self.here(), transaction() as session:
            return {item["kind"]: item for item in artifacts_of(session, job)}


def made(environment: dict[str, str], folder: Path) -> World:
    words = folder / "words.txt"
    words.write_text("true line")
    world = World(environment, Path(environment["THROUGHLINE_ARTIFACT_DIR"]), words)
    for job, run_id, theme in ((world.job, "first run+1", "Plain"), (world.again, "second", "Plain again")):
        world.open(job, "video", run_id, theme=theme, target_s=16)
        world.run(job, "collect", "video", run_id, file=str(words))
        world.run(job, "write", "video", run_id)
        world.run(job, "compose", "video", run_id)
        world.close(job, run_id, "completed")
    world.open(world.broken, "video", "third")
    world.run(world.broken, "collect", "video", "third", file=str(words))
    with pytest.raises(Exception, match="column 'word'"):
        world.run(world.broken, "fail", "video", "third")
    world.close(world.broken, "third", "failed", "no column")
    world.open(world.secret, "secret", "fourth", theme="Hidden theme")
    world.run(world.secret, "collect", "secret", "fourth", file=str(words))
    world.open(world.mixed, "campaign", "fifth", theme="Mixed")
    world.run(world.mixed, "collect", "video", "fifth", file=str(words))
    other = folder / "other.txt"
    other.write_text("hidden words")
    world.run(world.mixed, "collect", "secret", "fifth", file=str(other))
    return world


@pytest.fixture(scope="session")
def world(
    postgres: Any, migrated: str, lineage_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Five jobs: two alike, one that failed, one of a DAG that not everybody may read, one with such a stage."""
    from include.ledger import session

    folder = tmp_path_factory.mktemp("panel")
    database = postgres.create_database("panel", migrated)
    environment = {
        "THROUGHLINE_LEDGER_DSN": database,
        "THROUGHLINE_ARTIFACT_DIR": str(folder / "store"),
        "MARQUEZ_URL": lineage_server.url,
        "MARQUEZ_ADMIN_URL": lineage_server.admin_url,
    }
    yield made(environment, folder)
    session.engine(database).dispose()
    session.engine.cache_clear()
    postgres.drop_database(database)


@dataclass
class Panel:
    """The panel behind Airflow's API server, as users see it."""

    url: str
    routes: dict[str, list[str]]
    tokens: dict[str, str]

    def get(
        self, path: str, user: str | None = "admin", *, html: bool = True, **headers: str
    ) -> httpx.Response:
        if user is not None:
            headers["cookie"] = f"_token={self.tokens[user]}"
        headers["accept"] = "text/html" if html else "application/json"
        return httpx.get(f"{self.url}/lineage{path}", headers=headers, timeout=60)

    def page(self, path: str, user: str = "admin", status: int = 200) -> Page:
        reply = self.get(path, user)
        assert reply.status_code == status, reply.text[:2000]
        return Page.of(reply.text)


@contextmanager
def serving(environment: dict[str, str], folder: Path) -> Iterator[Panel]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, routes_file, passwords = (
        f"http://127.0.0.1:{port}",
        folder / "routes.json",
        folder / "passwords.json",
    )
    passwords.write_text(json.dumps({name: f"{name}-password" for name in USERS}))
    variables = {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE))),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this test session, long enough to sign with" * 2,
        "AIRFLOW__API__SECRET_KEY": "another secret of this test session",
        "AIRFLOW__CORE__AUTH_MANAGER": "narrow_auth.NarrowAuthManager",
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{name}:{role}" for name, role in USERS.items()
        ),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__OPENLINEAGE__DISABLED": "True",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "api_server.py"), str(port), str(routes_file)],
            env=inherited | environment | variables,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 180
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    if httpx.get(f"{url}/lineage/healthz", timeout=5).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.1)
            else:
                log.seek(0)
                raise AssertionError(f"the API server did not start:\n{log.read().decode()[-5000:]}")
            tokens = {
                name: httpx.post(
                    f"{url}/auth/token",
                    json={"username": name, "password": f"{name}-password"},
                    timeout=60,
                ).json()["access_token"]
                for name in USERS
            }
            yield Panel(url, dict(json.loads(routes_file.read_text())), tokens)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def panel(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """Airflow's own API server with our plugin, its login, and an auth manager that tells DAGs apart."""
    with serving(world.environment, tmp_path_factory.mktemp("api-server")) as panel:
        yield panel


class Page(HTMLParser):
    """What a browser would make of a page: its elements with attributes, its text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    @classmethod
    def of(cls, html: str) -> Page:
        page = cls()
        page.feed(html)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [a for name, a in self.elements if name == tag and wanted.items() <= a.items()]

    def values(self, attribute: str) -> list[str]:
        return [a[attribute] for _, a in self.elements if attribute in a]

    def links(self) -> set[str]:
        return {a["href"] for a in self.all("a") if "href" in a}
