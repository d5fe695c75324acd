"""Become one part of the stack: ``python -m include.stack.launch <state folder> <part>``, run by the supervisor.

Reads the secrets, keeps the part's share of them in the environment, gives up root where the part must not have
it, and executes the part's program in this very process. So the supervisor's configuration holds no secret, and no
part sees those of another.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from include.errors import ConfigurationError, ThroughlineError
from include.stack import credentials, parts, postgres, processes, state

PR_SET_PDEATHSIG = 1
PLAIN = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


def command(stack: state.Stack, secrets: credentials.Secrets, part: parts.Part) -> list[str]:
    """Return the part's command line, with the program's full path."""
    if part.name == parts.POSTGRES:
        return cluster(stack, secrets).command()
    return program(part.command)


def program(words: tuple[str, ...]) -> list[str]:
    """Return a command line whose program is the one of this virtual environment."""
    path = Path(sys.executable).parent / words[0]
    if not path.exists():
        raise ConfigurationError(
            f"{path} is missing: install requirements.txt and the project (make up does)"
        )
    return [str(path), *words[1:]]


def cluster(stack: state.Stack, secrets: credentials.Secrets) -> postgres.Cluster:
    """Return the stack's database cluster."""
    return postgres.Cluster(stack.postgres_data, stack.ports["postgres"], secrets.postgres_superuser)


def environment(stack: state.Stack, secrets: credentials.Secrets, part: parts.Part) -> dict[str, str]:
    """Return the part's environment: what it inherits, its own variables, and the stack's mark."""
    groups = parts.variables(stack, secrets)
    ours = {
        name for group in groups.values() for name in group
    }  # also those of other parts, from a shell's `env`
    inherited = {
        name: value
        for name, value in os.environ.items()
        if (part.inherits and name not in ours) or name in PLAIN
    }
    bin_folder = str(Path(sys.executable).parent)
    return (
        inherited
        | parts.gathered(groups, part.variables)
        | {
            "PATH": f"{bin_folder}{os.pathsep}{inherited.get('PATH', os.defpath)}",
            "TZ": "UTC",
            "PYTHONUNBUFFERED": "1",
            "SPT_NOENV": "1",  # setproctitle must not overwrite the mark
            parts.MARKER: f"{stack.stack_id}/{part.name}",
        }
    )


def end_last_attempt(stack: state.Stack, part: parts.Part) -> None:
    """End what a killed predecessor left behind: idle executor workers, tasks, pools."""
    record = stack.state_dir / "run" / f"{part.name}.pid"
    record.parent.mkdir(mode=0o700, exist_ok=True)
    group = int(record.read_text()) if record.exists() else None
    count = processes.end(processes.of_part(stack.stack_id, part.name, group))
    if count:
        print(f"ended {count} processes of the last {part.name}", flush=True)  # noqa: T201 - the part's log
    record.write_text(str(os.getpid()))


def main(state_dir: str, name: str) -> None:
    """Replace this process by the part's program."""
    stack = state.load(Path(state_dir))
    if stack is None:
        raise ConfigurationError(f"no stack was started in {state_dir}")
    secrets = credentials.read(stack.state_dir)
    part = next(part for part in parts.PARTS if part.name == name)
    supervisor = os.getppid()
    end_last_attempt(stack, part)
    words, own = command(stack, secrets, part), environment(stack, secrets, part)
    user = postgres.account() if part.name == parts.POSTGRES else None
    if user is not None:
        os.chdir("/")
        os.setgroups([])
        os.setgid(user.gid)
        os.setuid(user.uid)
    # After setuid, which clears it: when the supervisor is killed, its parts end too.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, getattr(signal, f"SIG{part.stop_signal}"))
    if os.getppid() != supervisor:
        raise ConfigurationError("the supervisor ended while this part started")
    os.execve(words[0], words, own)  # no shell wanted


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ThroughlineError as problem:
        raise SystemExit(f"{sys.argv[-1]}: {problem}") from problem
