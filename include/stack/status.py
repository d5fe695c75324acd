"""What an operator wants to see of a running stack in one look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil
import psycopg

from include.errors import ProviderRefused, ProviderUnavailable
from include.lineage.backlog import read_backlog
from include.lineage.spool import Spool
from include.marquez.client import MarquezClient
from include.settings import settings
from include.stack import parts
from include.stack.lifecycle import unhealthy
from include.stack.supervisor import Supervisor

if TYPE_CHECKING:
    from include.lineage.backlog import Backlog
    from include.stack.credentials import Secrets
    from include.stack.state import Stack


@dataclass(frozen=True)
class PartStatus:
    """One part; `memory_bytes` is the proportional share (PSS) of it and its children, or RSS where PSS is refused."""

    name: str
    about: str
    state: str
    pid: int | None
    up_since: str | None
    address: str | None
    memory_bytes: int
    processes: int


@dataclass(frozen=True)
class StackStatus:
    """The whole stack; a figure that cannot be had now is None, and `problems` says what is wrong."""

    running: bool
    healthy: bool
    problems: tuple[str, ...]
    parts: tuple[PartStatus, ...]
    memory_bytes: int
    lineage_server: str
    lineage_url: str
    airflow_url: str
    relay: Backlog | None


def look(stack: Stack, secrets: Secrets) -> StackStatus:
    """Ask the supervisor, the parts and the ledger."""
    boss = Supervisor(stack)
    running = boss.answers()
    listed = tuple(_parts(stack, boss)) if running else ()
    problems = tuple(unhealthy(stack)) if running else ("the stack does not run",)
    return StackStatus(
        running=running,
        healthy=running and not problems,
        problems=problems,
        parts=listed,
        memory_bytes=sum(part.memory_bytes for part in listed),
        lineage_server=identity(stack) if running or stack.marquez_url else "none",
        lineage_url=stack.lineage_url,
        airflow_url=stack.airflow_url,
        relay=backlog(stack, secrets) if running else None,
    )


def _parts(stack: Stack, boss: Supervisor) -> list[PartStatus]:
    addresses = {
        parts.POSTGRES: f"127.0.0.1:{stack.ports['postgres']}",
        parts.LINEAGE_SERVER: stack.lineage_url,
        "api-server": stack.airflow_url,
    }
    about = {part.name: part.about for part in parts.PARTS}
    rows = [_row("supervisor", "keeps the others running", "RUNNING", boss.pid or 0, None, children=False)]
    for one in boss.conditions():
        address = addresses.get(one.name)
        rows.append(_row(one.name, about[one.name], one.state, one.pid, address, children=True))
    order = {part.name: number for number, part in enumerate(parts.PARTS)}
    return sorted(rows, key=lambda row: order.get(row.name, -1))


def _row(name: str, about: str, state: str, pid: int, address: str | None, *, children: bool) -> PartStatus:
    memory, count, since = 0, 0, None
    try:
        process = psutil.Process(pid) if pid else None
        if process is not None:
            since = datetime.fromtimestamp(process.create_time(), UTC).isoformat(timespec="seconds")
            tree = [process, *(process.children(recursive=True) if children else [])]
            count = len(tree)
            memory = sum(_memory(one) for one in tree)
    except psutil.NoSuchProcess:
        state = "GONE"
    return PartStatus(name, about, state, pid or None, since, address, memory, count)


def _memory(process: psutil.Process) -> int:
    """Return a process's share of memory: pages shared by n processes count as an n-th."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
    except (psutil.AccessDenied, AttributeError):
        try:
            return int(process.memory_info().rss)
        except psutil.NoSuchProcess:
            return 0


def backlog(stack: Stack, secrets: Secrets) -> Backlog | None:
    """Return how far the delivery of lineage events got; None without a ledger to ask."""
    dsn = parts.variables(stack, secrets)["relay-database"]["THROUGHLINE_LEDGER_DSN"]
    try:
        return read_backlog(dsn, Spool(stack.state_dir / "lineage"))
    except (psycopg.OperationalError, psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return None


def identity(stack: Stack) -> str:
    """Return which lineage server answers at the stack's address, in words."""
    token = settings().marquez_token
    with MarquezClient(stack.lineage_url, None, token.get_secret_value() if token else None, 5.0) as client:
        try:
            return client.identity()
        except (ProviderUnavailable, ProviderRefused):
            return "none answers"
