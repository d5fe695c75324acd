"""The command ``throughline``: one module per group of commands, loaded when it is asked for.

Exit status: 0 done; 1 done, and something is not as it should be; 2 could not (the reason is on stderr); 3 the stack
does not run.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
import typer.core

from include.errors import ThroughlineError


@dataclass(frozen=True)
class Entry:
    """A command: its name, and where its function (or its Typer group) is."""

    name: str
    module: str
    function: str


COMMANDS = (
    Entry("up", "include.cli.stack", "up"),
    Entry("down", "include.cli.stack", "down"),
    Entry("status", "include.cli.stack", "status"),
    Entry("env", "include.cli.stack", "env"),
    Entry("db", "include.cli.database", "app"),
    Entry("demo", "include.cli.demo", "demo"),
    Entry("jobs", "include.cli.trace", "jobs"),
    Entry("outputs", "include.cli.trace", "outputs"),
    Entry("trace", "include.cli.trace", "trace"),
    Entry("impact", "include.cli.impact", "impact"),
    Entry("diff", "include.cli.diff", "diff"),
    Entry("export", "include.cli.export", "export"),
    Entry("verify", "include.cli.proof", "verify"),
    Entry("inputs-differ", "include.cli.proof", "inputs_differ"),
    Entry("reconcile", "include.cli.proof", "reconcile"),
    Entry("sweep", "include.cli.proof", "sweep"),
    Entry("replay", "include.cli.proof", "replay"),
    Entry("relay", "include.cli.relay", "relay"),
    Entry("lineage-jobs", "include.cli.lineage_jobs", "lineage_jobs"),
    Entry("lineage-server", "include.cli.lineage_server", "lineage_server"),
    Entry("lineage-retention", "include.cli.lineage_server", "lineage_retention"),
)


def load(entry: Entry) -> Any:
    """Return the command, importing its module; a command without its module is a bug of ours."""
    found = getattr(import_module(entry.module), entry.function)
    if isinstance(found, typer.Typer):
        group = typer.main.get_group(found)
        group.name = entry.name
        return group
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(entry.name)(found)
    return typer.main.get_command(single)


class Commands(typer.core.TyperGroup):
    """The commands of `COMMANDS`; a failure of ours is one line on stderr and status 2."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return one command."""
        return next((load(entry) for entry in COMMANDS if entry.name == cmd_name), None)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ThroughlineError as problem:
            said = str(problem)
        except Exception as problem:
            from psycopg import OperationalError
            from psycopg.errors import QueryCanceled

            # SQLAlchemy has errors of its own, with the driver's as their `orig`.
            told = getattr(problem, "orig", problem)
            if not isinstance(told, OperationalError):
                raise
            why = str(told).strip().splitlines()[0]
            if isinstance(told, QueryCanceled):
                said = (
                    f"the database gave up a question ({why}): ask for less, or again when it has less to do"
                )
            else:
                said = f"the database does not answer ({why}): `throughline status` says what runs, `make up` starts it"
        typer.echo(f"throughline: {said}", err=True)
        ctx.exit(2)


cli = typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.callback(help="Every video, table and report, back to the exact inputs that made it.")
def throughline() -> None:
    """Hold the commands together."""


def main() -> None:
    """Run the command line."""
    cli()
