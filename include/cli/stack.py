"""``throughline up | down | status | env``: the embedded stack."""

from __future__ import annotations

import json
import os
import shlex
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from include.errors import ConfigurationError
from include.settings import settings

if TYPE_CHECKING:
    from include.lineage.backlog import Backlog
    from include.stack.lifecycle import Started
    from include.stack.state import Stack
    from include.stack.status import StackStatus

NOT_RUNNING = 3
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def up(as_json: AsJson = False) -> None:
    """Start the stack and wait until every part is healthy; a running one is left alone."""
    from rich.console import Console

    from include.stack import credentials, lifecycle

    console = Console(stderr=True, highlight=False)
    begun = time.monotonic()
    with console.status("starting") as spinner:

        def say(step: str) -> None:
            spinner.update(step)
            console.print(f"[dim]{time.monotonic() - begun:6.1f} s[/dim]  {step}", soft_wrap=True)

        started = lifecycle.up(settings().state_dir, os.environ, say)
    password = credentials.read(started.stack.state_dir).airflow_admin_password
    if as_json:
        typer.echo(json.dumps(_addresses(started, password)))
    else:
        _tell(started, password)
    if started.broken:
        raise typer.Exit(1)


def _addresses(started: Started, password: str) -> dict[str, object]:
    stack = started.stack
    return {
        "airflow": stack.airflow_url,
        "panel": f"{stack.airflow_url}/lineage",
        "lineage_server": stack.lineage_url,
        "login": {"user": "admin", "password": password},
        "unpaused": list(started.unpaused),
        "broken": dict(started.broken),
        "already_running": started.already,
        "seconds": round(started.seconds, 1),
    }


def _tell(started: Started, password: str) -> None:
    from include.stack.dags import UNPAUSED

    stack = started.stack
    said = "already runs" if started.already else f"is healthy after {started.seconds:.0f} s"
    typer.echo(f"The stack {said}.\n")
    typer.echo(f"  Airflow         {stack.airflow_url}    login: admin / {password}")
    typer.echo(f"  lineage panel   {stack.airflow_url}/lineage")
    foreign = " (MARQUEZ_URL)" if stack.marquez_url else ""
    typer.echo(f"  lineage server  {stack.lineage_url}{foreign}")
    typer.echo(f"  logs            {stack.logs}")
    for name in started.unpaused:
        typer.echo(f"  switched on     {name}: {UNPAUSED[name]}")
    for name, reason in started.broken:
        typer.echo(f"  not usable      {name}: {reason}")
    typer.echo(f"\nFrom another machine: {tunnel(stack)}")
    typer.echo('Shell for plain airflow commands: eval "$(throughline env)"     End: throughline down')


def tunnel(stack: Stack) -> str:
    """Return the command that brings the stack's pages to another machine."""
    ports = [stack.ports["airflow"], *([] if stack.marquez_url else [stack.ports["lineage"]])]
    forwards = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
    return f"ssh {forwards} {os.environ.get('USER') or 'you'}@{os.uname().nodename}"


def down(
    delete: Annotated[
        bool, typer.Option("--delete", help="Also delete databases, artifacts, logs and secrets.")
    ] = False,
) -> None:
    """Stop every process of the stack and wait until none is left; nothing is deleted unless asked."""
    from include.stack import lifecycle

    def say(step: str) -> None:
        typer.echo(step, err=True)

    if delete:
        for path in lifecycle.delete(settings().state_dir, say):
            typer.echo(f"not the stack's, left there: {path}")
        typer.echo("The stack is down, its state deleted.")
        return
    ran = lifecycle.down(settings().state_dir, say)
    typer.echo("The stack is down." if ran else "The stack was not running.")


def status(as_json: AsJson = False) -> None:
    """Show every part; status 0 when healthy, 1 when something is wrong, 3 when the stack does not run."""
    from include.stack import credentials, state
    from include.stack.status import look

    stack = state.load(settings().state_dir.resolve())
    if stack is None:
        typer.echo(
            json.dumps({"running": False, "healthy": False})
            if as_json
            else "The stack was never started: make up"
        )
        raise typer.Exit(NOT_RUNNING)
    seen = look(stack, credentials.read(stack.state_dir))
    if as_json:
        typer.echo(json.dumps(asdict(seen), indent=1))
    else:
        _show(seen)
    if not seen.running:
        raise typer.Exit(NOT_RUNNING)
    if not seen.healthy:
        raise typer.Exit(1)


def _show(seen: StackStatus) -> None:
    from rich.console import Console
    from rich.text import Text

    from include.cli.tables import print_table

    console = Console(highlight=False, soft_wrap=True)
    if not seen.running:
        console.print("The stack does not run: make up")
        return
    rows = []
    today = datetime.now(UTC).date()
    for part in seen.parts:
        born = datetime.fromisoformat(part.up_since) if part.up_since else None
        since = born.strftime("%H:%M:%SZ" if born.date() == today else "%d %b %H:%MZ") if born else "-"
        state = Text(part.state.lower(), "" if part.state == "RUNNING" else "bold red")
        size = f"{part.memory_bytes / 2**20:.0f}"
        rows.append(
            (part.name, state, since, str(part.pid or "-"), str(part.processes), size, part.address or "")
        )
    print_table(("part", "state", "up since", "pid", "procs", "MiB", "address"), rows)
    console.print(f"\nmemory {seen.memory_bytes / 2**20:.0f} MiB    relay: {_delivery(seen.relay)}")
    console.print(f"lineage server: {seen.lineage_server} at {seen.lineage_url}")
    console.print("healthy" if seen.healthy else f"[bold red]not well:[/bold red] {'; '.join(seen.problems)}")


def _delivery(relay: Backlog | None) -> str:
    """Say how far delivery got, in a few words."""
    if relay is None:
        return "unknown"
    words = [f"{relay.pending} events wait, {relay.dead} refused"]
    if relay.oldest_pending_s is not None:
        words.append(f"the oldest for {relay.oldest_pending_s:.0f} s")
    if relay.parked:
        words.append(f"{relay.parked} behind refused ones")
    if relay.spool_bytes or relay.spool_rejects:
        words.append(f"spool: {relay.spool_lines} lines unread, {relay.spool_rejects} put aside")
    if relay.last_error:
        words.append(relay.last_error)
    return "; ".join(words)


def env() -> None:
    """Print what a shell needs for plain airflow and throughline commands: eval "$(throughline env)"."""
    from include.stack import credentials, parts, state

    stack = state.load(settings().state_dir.resolve())
    if stack is None:
        raise ConfigurationError(f"no stack was started in {settings().state_dir}: make up")
    groups = parts.variables(stack, credentials.read(stack.state_dir))
    for name, value in parts.gathered(groups, parts.SHELL).items():
        typer.echo(f"export {name}={shlex.quote(value)}")
