"""Start and stop the whole embedded stack."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import psutil

from include.errors import ConfigurationError, ThroughlineError
from include.settings import ROOT
from include.stack import (
    airflow_api,
    credentials,
    databases,
    launch,
    parts,
    ports,
    postgres,
    processes,
    state,
)
from include.stack.dags import UNPAUSED
from include.stack.supervisor import Supervisor, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from include.stack.credentials import Secrets
    from include.stack.state import Stack

HEALTHY_S = 300.0
DAGS_S = 60.0
DECLARE_S = 120.0
STABLE_S = 2.0
POLL_S = 0.5
# What a stack makes in its state folder; the id of the stack, which leads to its databases, goes last.
OWN = (
    *("airflow", "artifacts", "catalog", "lake", "lineage", "logs", "postgres", "run"),
    *("supervisor.conf", "supervisor.pid", "supervisor.sock", "secrets.json", "lock", "stack.json"),
)
MOST_STARTS = 4  # of one part while the stack comes up; then it is said to keep dying


@dataclass(frozen=True)
class Started:
    """What `up` did; `unpaused` names DAGs, `broken` DAG files with the reason."""

    stack: Stack
    already: bool
    seconds: float
    unpaused: tuple[str, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()


def in_use(stack: Stack) -> tuple[parts.Part, ...]:
    """Return the parts that this stack runs: all, but for the lineage server when another one is named."""
    return tuple(
        part for part in parts.PARTS if not (part.name == parts.LINEAGE_SERVER and stack.marquez_url)
    )


def up(state_dir: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> Started:
    """Start everything that does not run yet and wait until all of it is healthy.

    Safe to repeat, also after a start that was killed half-way. Raises ConfigurationError or ThroughlineError
    naming the part that does not come up and its log.
    """
    begun = time.monotonic()
    state_dir = state_dir.resolve()
    with state.one_at_a_time(state_dir):
        known = state.load(state_dir)
        if known is not None and Supervisor(known).answers():
            wish = environment.get("MARQUEZ_URL", "").rstrip("/")
            if wish and wish != known.lineage_url:
                say(f"the running stack keeps its lineage server {known.lineage_url}; down and up changes it")
            if known.seen_dags and not unhealthy(known):  # a start that was cut short goes on to its end
                return Started(known, already=True, seconds=time.monotonic() - begun)
        stack = _supervised(state_dir, environment, say)
        secrets = credentials.read(state_dir)
        boss = Supervisor(stack)
        say("PostgreSQL")
        boss.start(parts.POSTGRES)
        cluster = launch.cluster(stack, secrets)
        cluster.wait_ready()
        databases.ensure(cluster.dsn, secrets)
        if databases.version(cluster.dsn) != schema_version():
            for words, groups in parts.MIGRATIONS:
                say(" ".join(words))
                _migrate(stack, secrets, environment, words, groups)
            databases.set_version(cluster.dsn, schema_version())
        declaring = _program(stack, secrets, environment, *parts.DECLARE, log="lineage-jobs.log")
        for wave in sorted({part.wave for part in in_use(stack)} - {0}):
            for part in in_use(stack):
                if part.wave == wave:
                    say(part.name)
                    boss.start(part.name)
            if wave == 1:
                _wait(stack, lambda: _lineage_problems(stack), say)
        _wait(stack, lambda: unhealthy(stack), say)
        say("DAGs")
        if not _ended_well(declaring, DECLARE_S):  # before the first run, whose events refer to it
            log = stack.logs / "lineage-jobs.log"
            say(f"the tasks' datasets are not declared: {tail(log, 1)} ({log})")
        stack, unpaused, broken = _switch_on(stack, secrets)
    return Started(stack, already=False, seconds=time.monotonic() - begun, unpaused=unpaused, broken=broken)


def _supervised(state_dir: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> Stack:
    """Return the stack with its supervisor running; what an earlier, killed one left behind is ended first."""
    known = state.load(state_dir)
    if known is not None and Supervisor(known).answers():
        return known
    if known is not None:
        _end_leftovers(known)
    stack = state.prepare(state_dir, environment)
    secrets = credentials.read_or_make(state_dir)
    stack.airflow_home.mkdir(mode=0o700, exist_ok=True)
    (state_dir / "lineage").mkdir(mode=0o700, exist_ok=True)
    credentials.write_private(
        stack.airflow_home / "passwords.json", json.dumps({"admin": secrets.airflow_admin_password}) + "\n"
    )
    launch.cluster(stack, secrets).initialise()
    say("supervisor")
    boss = Supervisor(stack)
    boss.launch(in_use(stack), environment)
    if boss.pid is not None:
        ports.hand_over(stack.ports, boss.pid)
    return stack


def schema_version() -> str:
    """Return what the migrations would lead to: Airflow's version and a digest of the ledger's revisions."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "include" / "ledger" / "migrations" / "versions").glob("*.py")):
        digest.update(path.read_bytes())
    return f"airflow {version('apache-airflow-core')} ledger {digest.hexdigest()[:16]}"


def _migrate(
    stack: Stack,
    secrets: Secrets,
    environment: Mapping[str, str],
    words: tuple[str, ...],
    groups: tuple[str, ...],
) -> None:
    done = subprocess.run(
        launch.program(words),
        env=dict(environment) | parts.gathered(parts.variables(stack, secrets), groups),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    with (stack.logs / "migrations.log").open("a") as log:
        log.write(done.stdout)
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-12:])
        raise ConfigurationError(f"{' '.join(words)} failed:\n{last}")


def _program(
    stack: Stack,
    secrets: Secrets,
    environment: Mapping[str, str],
    words: tuple[str, ...],
    groups: tuple[str, ...],
    *,
    log: str,
) -> subprocess.Popen[str]:
    """Start a program that ends by itself, beside what else starts."""
    with (stack.logs / log).open("w") as output:
        return subprocess.Popen(
            launch.program(words),
            env=dict(environment) | parts.gathered(parts.variables(stack, secrets), groups),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )


def _ended_well(process: subprocess.Popen[str], seconds: float) -> bool:
    """Wait for a program, no longer than that; return whether it did what it was to do."""
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False


def unhealthy(stack: Stack) -> list[str]:
    """Return what is not well, one line each; empty when the stack is healthy."""
    boss = Supervisor(stack)
    try:
        conditions = boss.conditions()
    except OSError:
        return ["the supervisor does not answer"]
    problems = [
        f"{one.name} is {one.state.lower()}"
        for one in conditions
        if one.state != "RUNNING" or time.time() - one.since < STABLE_S
    ]
    problems += _lineage_problems(stack)
    api = next((one.pid for one in conditions if one.name == "api-server"), 0)
    if not (api and ports.listens(stack.ports["airflow"], api)):
        return [*problems, "Airflow's API server does not listen yet"]
    said = airflow_api.health(stack.airflow_url)
    if set(said.values()) == {airflow_api.UNREACHABLE}:
        return [*problems, "Airflow does not answer"]
    return problems + [f"Airflow's {name} is {word}" for name, word in said.items() if word != "healthy"]


def _lineage_problems(stack: Stack) -> list[str]:
    if stack.marquez_url or parts.LINEAGE_SERVER not in {part.name for part in in_use(stack)}:
        return []  # somebody else's server: the stack works without it, and events wait
    if airflow_api.get(f"{stack.lineage_admin_url}/ping") is None:
        return ["the lineage server does not answer"]
    return []


def _wait(stack: Stack, problems: Callable[[], list[str]], say: Callable[[str], None]) -> None:
    """Wait until there is no problem; tell each new state of affairs. A part that keeps dying ends the wait."""
    deadline = time.monotonic() + HEALTHY_S
    told: list[str] = []
    births: dict[str, set[int]] = {}
    boss = Supervisor(stack)
    while left := problems():
        for one in boss.conditions():
            if one.since and one.state != "STOPPED":
                births.setdefault(one.name, set()).add(one.since)
        dying = [name for name, starts in births.items() if len(starts) > MOST_STARTS]
        if dying or time.monotonic() > deadline:
            unready = dying or [one.name for one in boss.conditions() if one.state != "RUNNING"]
            logs = "\n".join(
                f"--- {stack.logs / name}.log\n{tail(stack.logs / f'{name}.log')}" for name in unready
            )
            raise ThroughlineError(f"the stack is not healthy: {'; '.join(left)}\n{logs}")
        if left != told:
            say(f"waiting: {'; '.join(left)}")
            told = left
        time.sleep(POLL_S)


def _switch_on(stack: Stack, secrets: Secrets) -> tuple[Stack, tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Unpause listed DAGs that this stack has not seen before: what a person pauses stays paused."""
    wanted = {path.stem for path in (ROOT / "dags").glob("*.py")}
    deadline = time.monotonic() + DAGS_S
    with airflow_api.Api(stack, secrets) as api:
        while True:
            listed, broken = api.dags(), api.import_errors()
            if len(wanted - set(listed)) <= len(broken) or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        fresh = [dag_id for dag_id in UNPAUSED if dag_id in listed and dag_id not in stack.seen_dags]
        for dag_id in fresh:
            api.unpause(dag_id)
    silent = (
        {f"{name}.py": "not read by the dag-processor yet" for name in wanted - set(listed)}
        if not broken
        else {}
    )
    stack = dataclasses.replace(stack, seen_dags=tuple(sorted({*stack.seen_dags, *listed})))
    state.save(stack)
    return stack, tuple(fresh), tuple((broken | silent).items())


def down(state_dir: Path, say: Callable[[str], None]) -> bool:
    """Stop everything, whole process trees, and wait until nothing is left; return whether anything ran."""
    state_dir = state_dir.resolve()
    if not (state_dir / state.FILE).exists():
        return False
    with state.one_at_a_time(state_dir):
        stack = state.load(state_dir)
        if stack is None:
            return False
        boss = Supervisor(stack)
        ran = boss.answers()
        if ran:
            names = {one.name for one in boss.conditions()}
            for wave in sorted({part.wave for part in parts.PARTS}, reverse=True):
                say(
                    f"stopping {', '.join(part.name for part in parts.PARTS if part.wave == wave and part.name in names)}"
                )
                boss.stop(part.name for part in parts.PARTS if part.wave == wave and part.name in names)
                if wave == max(part.wave for part in parts.PARTS):
                    # Tasks and executor workers have process groups of their own; end them while the database is up.
                    processes.end(_others(stack))
            boss.shutdown()
        return bool(_end_leftovers(stack)) or ran


def delete(state_dir: Path, say: Callable[[str], None]) -> list[Path]:
    """Stop the stack and delete what it made: databases, artifacts, logs, secrets.

    Returns what lies in the state folder and is not the stack's; that is left there.
    """
    state_dir = state_dir.resolve()
    down(state_dir, say)
    stack = state.load(state_dir)
    if stack is None:
        return []
    say(f"deleting {stack.postgres_data.parent} and {state_dir}")
    if stack.postgres_data.exists():
        shutil.rmtree(stack.postgres_data.parent)
    for name in OWN:
        path = state_dir / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    left = sorted(state_dir.iterdir())
    if not left:
        state_dir.rmdir()
    return left


def _others(stack: Stack) -> list[psutil.Process]:
    """Return the stack's processes that the supervisor does not know, nor their children."""
    boss = Supervisor(stack)
    known = {boss.pid}
    for one in boss.conditions():
        if one.pid:
            known |= {one.pid, *(child.pid for child in psutil.Process(one.pid).children(recursive=True))}
    return [process for process in processes.of_stack(stack.stack_id, boss.pid) if process.pid not in known]


def _end_leftovers(stack: Stack) -> int:
    """End what a killed supervisor left behind; PostgreSQL last, and by the signal that it wants."""
    boss = Supervisor(stack)
    if boss.answers():
        raise ThroughlineError("the supervisor still runs")
    server = _postmaster(stack)
    backends = {server.pid, *(one.pid for one in server.children())} if server else set()
    left = [one for one in processes.of_stack(stack.stack_id, _session(stack)) if one.pid not in backends]
    count = processes.end(left)
    if server is not None:
        server.send_signal(2)
        psutil.wait_procs([server], postgres.STOP_S)
        count += 1
    return count


def _session(stack: Stack) -> int | None:
    """Return the ended supervisor's session, unless its number has gone to another process since."""
    pid = Supervisor(stack).pid
    if pid is None or processes.is_alive(pid):
        return None
    return pid


def _postmaster(stack: Stack) -> psutil.Process | None:
    """Return the database server that still runs on our data folder."""
    try:
        pid = int((stack.postgres_data / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        return process if str(stack.postgres_data) in process.cmdline() else None
    except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
