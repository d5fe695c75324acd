"""What is remembered of a stack between starts: its id, ports and addresses (`.throughline/stack.json`)."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.stack import ports
from include.stack.credentials import write_private
from include.stack.postgres import HOST, ROOT_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FILE = "stack.json"
SOCKET_LIMIT = 100  # bytes of a unix socket's path that every system takes


@dataclass(frozen=True)
class Stack:
    """One embedded stack: where its state lies, its ports, and the lineage server in use.

    `marquez_url` is None when the embedded server answers, else the address given with MARQUEZ_URL. `namespace` is that
    of all its jobs and datasets: deployments that share a lineage server need one each.
    """

    state_dir: Path
    stack_id: str
    ports: Mapping[str, int]
    marquez_url: str | None = None
    marquez_admin_url: str | None = None
    namespace: str = "throughline"
    seen_dags: tuple[str, ...] = field(default=())

    @property
    def airflow_url(self) -> str:
        """Address of Airflow's API server and user interface."""
        return f"http://{HOST}:{self.ports['airflow']}"

    @property
    def lineage_url(self) -> str:
        """Address of the lineage server's API, whichever answers."""
        return self.marquez_url or f"http://{HOST}:{self.ports['lineage']}"

    @property
    def lineage_admin_url(self) -> str | None:
        """Address of the lineage server's admin port; None when a foreign server's is not known."""
        if self.marquez_url:
            return self.marquez_admin_url
        return f"http://{HOST}:{self.ports['lineage_admin']}"

    @property
    def postgres_data(self) -> Path:
        """PostgreSQL's data folder: where its OS user can reach it."""
        home = ROOT_FOLDER / self.stack_id if os.geteuid() == 0 else self.state_dir / "postgres"
        return home / "data"

    @property
    def airflow_home(self) -> Path:
        """Airflow's own folder (logs, passwords of the simple auth manager)."""
        return self.state_dir / "airflow"

    @property
    def logs(self) -> Path:
        """Folder of one log per part."""
        return self.state_dir / "logs"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket."""
        path = self.state_dir / "supervisor.sock"
        if len(os.fsencode(path)) > SOCKET_LIMIT:
            raise ConfigurationError(
                f"{self.state_dir} is too long a path for a control socket: set THROUGHLINE_STATE_DIR to a shorter one"
            )
        return path


def load(state_dir: Path) -> Stack | None:
    """Return the stack that was started in that folder, or None."""
    path = state_dir / FILE
    if not path.exists():
        return None
    try:
        given = json.loads(path.read_text())
        return Stack(**{**given, "state_dir": state_dir, "seen_dags": tuple(given["seen_dags"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(f"{path} is damaged ({error}): remove it, then make up") from error


def save(stack: Stack) -> None:
    """Remember the stack."""
    known = {name: value for name, value in asdict(stack).items() if name != "state_dir"}
    write_private(stack.state_dir / FILE, json.dumps(known, indent=1) + "\n")


def prepare(state_dir: Path, environment: Mapping[str, str]) -> Stack:
    """Return the stack to start, made on first use; every port of it is free now, the last ones if possible.

    Only for a stack that does not run.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    before = load(state_dir)
    own = before.ports["lineage"] if before else ports.DEFAULTS["lineage"]
    given = (environment.get("MARQUEZ_URL") or "").rstrip("/") or None
    if before and given == f"http://{HOST}:{own}":
        given = None  # our own address, from a shell that ran `eval "$(throughline env)"`
    stack = Stack(
        state_dir=state_dir,
        stack_id=before.stack_id if before else secrets.token_hex(6),
        ports=ports.choose(before.ports if before else {}),
        marquez_url=given,
        marquez_admin_url=environment.get("MARQUEZ_ADMIN_URL") if given else None,
        namespace=environment.get("THROUGHLINE_NAMESPACE") or (before or Stack).namespace,
        seen_dags=before.seen_dags if before else (),
    )
    stack.socket  # noqa: B018 - refuses a path that is too long, before anything is made
    save(stack)
    return stack


@contextmanager
def one_at_a_time(state_dir: Path) -> Iterator[None]:
    """Let one process start or stop this stack; a second one waits its turn."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
