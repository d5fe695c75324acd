"""The whole stack, booted for real: the session's, and a second one beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import pytest

from include.stack import airflow_api, credentials, lifecycle, parts, processes, state
from include.stack.supervisor import Supervisor
from tests.carried import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.stack
BIN = Path(sys.executable).parent
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("AIRFLOW", "MARQUEZ", "THROUGHLINE", "PYTEST"))
}


def throughline(state_dir: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = CLEAN | {"THROUGHLINE_STATE_DIR": str(state_dir)} | more
    return subprocess.run(
        [BIN / "throughline", *words], env=environment, capture_output=True, text=True, check=False
    )


def status(state_dir: Path) -> dict[str, Any]:
    said = throughline(state_dir, "status", "--json")
    assert said.returncode in {0, 1}, said.stderr
    return dict(json.loads(said.stdout))


def everybody(state_dir: Path) -> list[psutil.Process]:
    known = state.load(state_dir)
    assert known is not None
    return processes.of_stack(known.stack_id, Supervisor(known).pid)


# --- the session's stack ---------------------------------------------------------------------------------------------


def test_status_shows_every_part_and_which_lineage_server_answers(stack: Any) -> None:
    seen = status(stack.state_dir)
    assert seen["problems"] == []
    rows = {row["name"]: row for row in seen["parts"]}
    assert set(rows) == {"supervisor", *(part.name for part in parts.PARTS)}
    assert {row["state"] for row in rows.values()} == {"RUNNING"}
    assert all(row["up_since"] and row["pid"] and row["memory_bytes"] > 2**20 for row in rows.values())
    assert rows["api-server"]["address"] == stack.airflow_url
    assert seen["lineage_server"].startswith("embedded")
    assert seen["relay"]["pending"] >= 0
    assert seen["relay"]["spool_lines"] == 0
    shown = throughline(stack.state_dir, "status").stdout
    assert max(len(line) for line in shown.splitlines()[: len(rows) + 1]) <= 80, "one screen"


def test_nothing_listens_beyond_this_machine(stack: Any) -> None:
    ends = set()
    for process in everybody(stack.state_dir):
        with suppress(psutil.NoSuchProcess):  # a task's process ended meanwhile; it listens no longer
            ends |= {
                (connection.laddr.ip, process.name())
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
    assert {ip for ip, _ in ends} == {"127.0.0.1"}, ends


def test_plain_airflow_commands_work_in_a_shell_with_env(stack: Any) -> None:
    words = f'eval "$({BIN}/throughline env)" && exec {BIN}/airflow dags list -o json'
    environment = CLEAN | {"THROUGHLINE_STATE_DIR": str(stack.state_dir)}
    said = subprocess.run(["sh", "-c", words], env=environment, capture_output=True, text=True, check=True)
    printed = next(
        line for line in said.stdout.splitlines() if line.startswith("[{")
    )  # below Airflow's own warnings
    listed = {dag["dag_id"]: dag["is_paused"] for dag in json.loads(printed)}
    assert listed == dict.fromkeys(["campaign", "medallion", "reports", "upkeep", "video"], "False")


def test_a_second_up_is_quick_and_changes_nothing(stack: Any) -> None:
    before = {process.pid for process in everybody(stack.state_dir)}
    said = throughline(stack.state_dir, "up", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["already_running"] is True
    assert json.loads(said.stdout)["seconds"] < 10
    assert Supervisor(_known(stack.state_dir)).pid in before


def _known(state_dir: Path) -> state.Stack:
    known = state.load(state_dir)
    assert known is not None
    return known


def test_a_killed_scheduler_comes_back_and_its_idle_workers_end(stack: Any) -> None:
    known = _known(stack.state_dir)
    boss = Supervisor(known)
    scheduler = psutil.Process(boss.condition("scheduler").pid)
    family = [scheduler, *scheduler.children(recursive=True)]
    assert len(family) > 4, "the executor's workers"
    os.kill(scheduler.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(family, 60)
    assert alive == []
    deadline = time.monotonic() + 180
    while problems := lifecycle.unhealthy(known):
        assert time.monotonic() < deadline, problems
        time.sleep(0.5)
    assert boss.condition("scheduler").pid != scheduler.pid


# --- a second one beside it ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def beside(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every default port is taken, and MARQUEZ_URL names a lineage server: the session's, shared by namespaces."""
    state_dir = tmp_path_factory.mktemp("beside") / "s"
    said = throughline(
        state_dir, "up", "--json", MARQUEZ_URL=stack.marquez_url, THROUGHLINE_NAMESPACE="beside"
    )
    assert said.returncode == 0, said.stderr
    yield state_dir
    lifecycle.delete(state_dir, lambda _: None)


def test_taken_ports_give_way_and_addresses_follow(stack: Any, beside: Path) -> None:
    one, two = _known(stack.state_dir), _known(beside)
    assert not set(one.ports.values()) & set(two.ports.values())
    assert lifecycle.unhealthy(one) == lifecycle.unhealthy(two) == []
    assert set(airflow_api.health(two.airflow_url).values()) == {"healthy"}
    # Each answers to its own password only.
    with airflow_api.Api(two, credentials.read(beside)) as api:
        assert set(api.dags()) == {"campaign", "medallion", "reports", "upkeep", "video"}


def test_with_a_named_lineage_server_the_embedded_one_is_not_started(stack: Any, beside: Path) -> None:
    seen = status(beside)
    assert seen["lineage_url"] == stack.marquez_url
    assert parts.LINEAGE_SERVER not in {row["name"] for row in seen["parts"]}


def test_two_deployments_at_one_lineage_server_keep_apart_by_namespace(
    stack: Any, beside: Path, marquez: Any
) -> None:
    deadline = time.monotonic() + 60
    while status(beside)["relay"]["pending"]:
        assert time.monotonic() < deadline, "the second stack's declarations are not delivered"
        time.sleep(0.2)
    names = {
        namespace: {job["name"] for job in marquez(f"/namespaces/{namespace}/jobs?limit=1000")["jobs"]}
        for namespace in ("throughline", "beside")
    }
    assert set(TASKS) <= names["beside"]
    assert set(TASKS) <= names["throughline"]
    gather = quote("job:beside:reports.dossier_gather", safe="")
    assert "job:throughline" not in json.dumps(marquez(f"/lineage?nodeId={gather}&depth=20"))


def test_after_a_killed_supervisor_up_starts_again_and_down_leaves_nothing(beside: Path) -> None:
    first = Supervisor(_known(beside)).pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert throughline(beside, "status").returncode == 3
    again = throughline(beside, "up", "--json", MARQUEZ_URL=_known(beside).lineage_url)
    assert again.returncode == 0, again.stderr
    running = everybody(beside)
    assert len(running) > 10
    ended = throughline(beside, "down")
    assert (ended.returncode, ended.stdout) == (0, "The stack is down.\n")
    assert [process for process in running if processes.is_alive(process.pid)] == []
    assert everybody(beside) == []
