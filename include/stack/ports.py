"""Free ports, shared fairly among the stacks that one user starts on a machine.

A port is taken long before its server listens (Airflow's needs half a minute), so looking whether somebody listens
is not enough: a stack claims its ports in a small file, for as long as its supervisor lives.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from include.errors import ConfigurationError
from include.stack.postgres import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# PostgreSQL takes any free port: 5432 is often somebody else's, and nobody needs to remember ours.
DEFAULTS = {"postgres": 0, "airflow": 8080, "lineage": 5000, "lineage_admin": 5001, "scheduler_health": 8974}

Holder = tuple[int, float]  # a process and when it was created


def choose(before: Mapping[str, int], defaults: Mapping[str, int] = DEFAULTS) -> dict[str, int]:
    """Return a free port for each use, claimed by this process: the default, else the last start's, else any."""
    chosen: dict[str, int] = {}
    with _claims() as claims:
        for name, default in defaults.items():
            taken = {*claims, *chosen.values()}
            wishes = [port for port in (default, before.get(name, 0)) if port and port not in taken]
            port = next((port for port in wishes if is_free(port)), None)
            while port is None or port in taken:
                port = free_port()
            chosen[name] = port
        claims.update(dict.fromkeys(chosen.values(), _holder(os.getpid())))
    return chosen


def hand_over(ports: Mapping[str, int], pid: int) -> None:
    """Let the ports belong to another process, the supervisor, from now on."""
    with _claims() as claims:
        claims.update(dict.fromkeys(ports.values(), _holder(pid)))


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a closed connection does not hold a port
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def listens(port: int, pid: int) -> bool:
    """Return whether the process or one of its children listens on the port; False for a server of somebody else."""
    try:
        process = psutil.Process(pid)
        tree = [process, *process.children(recursive=True)]
        return any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for one in tree
            for connection in one.net_connections("tcp")
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _holder(pid: int) -> Holder:
    return pid, psutil.Process(pid).create_time()


def _lives(holder: Holder) -> bool:
    try:
        return _holder(holder[0]) == holder
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _claims() -> Iterator[dict[int, Holder]]:
    """Yield this user's claims, those of ended processes dropped; what is changed in them is kept."""
    folder = Path(tempfile.gettempdir()) / f"throughline-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
        raise ConfigurationError(f"{folder} belongs to somebody else: remove it, or set TMPDIR")
    with (folder / "ports.json").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        listed = json.loads(text) if text else {}
        claims = {int(port): (int(pid), float(born)) for port, (pid, born) in listed.items()}
        claims = {port: holder for port, holder in claims.items() if _lives(holder)}
        yield claims
        file.seek(0)
        file.truncate()
        json.dump(claims, file)
