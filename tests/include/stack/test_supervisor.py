"""A small stack, supervised for real: PostgreSQL and the relay."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from include.stack import credentials, databases, launch, lifecycle, parts, processes, state
from include.stack.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.stack.postgres import Cluster
    from include.stack.state import Stack

pytestmark = pytest.mark.slow

SMALL = tuple(part for part in parts.PARTS if part.name in {"postgres", "relay"})


def until(true: Callable[[], object], what: str, within_s: float = 60.0) -> None:
    """Poll; fail with what was awaited."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not {what} within {within_s} s"
        time.sleep(0.05)


ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith(("MARQUEZ", "THROUGHLINE"))
}


def prepared(state_dir: Path) -> Stack:
    """A stack with everything made and nothing started."""
    stack = state.prepare(state_dir, ENVIRONMENT)
    (stack.state_dir / "lineage").mkdir(exist_ok=True)
    launch.cluster(stack, credentials.read_or_make(stack.state_dir)).initialise()
    return stack


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = prepared(tmp_path_factory.mktemp("small") / "s").state_dir
    yield folder
    lifecycle.delete(folder, lambda _: None)


@pytest.fixture
def stack(state_dir: Path) -> Stack:
    """The stack with both parts running, whatever the test before did to it."""
    stack = state.load(state_dir)
    assert stack is not None
    boss = Supervisor(stack)
    if not boss.answers():
        boss.launch(SMALL, ENVIRONMENT)
    boss.start("postgres")
    cluster(stack).wait_ready()
    databases.ensure(cluster(stack).dsn, credentials.read(state_dir))
    boss.start("relay")
    # Running, and no longer on its way to become the relay's program.
    until(lambda: boss.condition("relay").state == "RUNNING" and processes.marked(relay_of(stack)), "running")
    return stack


def relay_of(stack: Stack) -> psutil.Process:
    return psutil.Process(Supervisor(stack).condition("relay").pid)


def cluster(stack: Stack) -> Cluster:
    return launch.cluster(stack, credentials.read(stack.state_dir))


def everybody(stack: Stack) -> list[psutil.Process]:
    return processes.of_stack(stack.stack_id, Supervisor(stack).pid)


@pytest.mark.parametrize("part", ["postgres", "relay"])
def test_a_killed_part_comes_back(stack: Stack, part: str) -> None:
    boss = Supervisor(stack)
    before = boss.condition(part).pid
    os.kill(before, signal.SIGKILL)
    until(
        lambda: boss.condition(part).pid not in {0, before} and boss.condition(part).state == "RUNNING",
        "back",
    )
    if part == "postgres":
        cluster(stack).wait_ready()


def test_what_a_killed_part_leaves_behind_is_ended_when_it_comes_back(stack: Stack) -> None:
    """An orphan in a process group of its own, as Airflow's tasks are, marked by inheritance."""
    relay = relay_of(stack)
    orphan = psutil.Popen(["/usr/bin/sleep", "600"], env=relay.environ(), process_group=0)
    stranger = psutil.Popen(["/usr/bin/sleep", "600"], process_group=0)
    try:
        relay.kill()
        assert orphan.wait(60) == -signal.SIGTERM
        assert stranger.is_running()
    finally:
        stranger.kill()
        stranger.wait()


def test_down_leaves_no_process(stack: Stack) -> None:
    running = everybody(stack)
    assert len(running) > 3
    assert lifecycle.down(stack.state_dir, lambda _: None)
    assert [process for process in running if processes.is_alive(process.pid)] == []
    assert not lifecycle.down(stack.state_dir, lambda _: None), "a second time nothing runs"


def test_when_the_supervisor_is_killed_its_parts_end(stack: Stack) -> None:
    boss = Supervisor(stack)
    running = everybody(stack)
    assert boss.pid is not None
    os.kill(boss.pid, signal.SIGKILL)
    until(lambda: not any(processes.is_alive(process.pid) for process in running), "ended")
    assert not boss.answers()


def test_no_secret_is_in_the_configuration_the_command_lines_or_the_logs(stack: Stack) -> None:
    secrets = [value.encode() for value in vars(credentials.read(stack.state_dir)).values()]
    lines = b"\n".join(" ".join(process.cmdline()).encode() for process in everybody(stack))
    assert b"postgres" in lines
    assert not [secret for secret in secrets if secret in lines]
    elsewhere = [
        path for path in stack.state_dir.rglob("*") if path.is_file() and path.name != credentials.FILE
    ]
    assert {"supervisor.conf", "relay.log"} <= {path.name for path in elsewhere}
    assert not [path for path in elsewhere if any(secret in path.read_bytes() for secret in secrets)]


def test_only_their_owner_reads_and_commands(stack: Stack) -> None:
    for name in ("supervisor.sock", "supervisor.conf", credentials.FILE, state.FILE):
        assert (stack.state_dir / name).stat().st_mode & 0o077 == 0, name


def test_deleting_removes_databases_and_state_and_keeps_what_is_not_the_stacks(tmp_path: Path) -> None:
    stack = prepared(tmp_path / "s")
    assert stack.postgres_data.exists()
    mine = stack.state_dir / "notes.txt"
    mine.write_text("mine")
    assert lifecycle.delete(stack.state_dir, lambda _: None) == [mine]
    assert not stack.postgres_data.exists()
    assert list(stack.state_dir.iterdir()) == [mine]
