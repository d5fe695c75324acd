"""Finding and ending the processes of a stack, whole trees, and no others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil

from include.stack.parts import MARKER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

GONE = (psutil.NoSuchProcess, ProcessLookupError)


def marked(process: psutil.Process) -> str:
    """Return the part that a process says it belongs to, '' when it says nothing or may not be asked."""
    try:
        return str(process.environ().get(MARKER, ""))
    except (*GONE, psutil.AccessDenied, OSError):
        return ""


def of_stack(stack_id: str, session: int | None = None) -> list[psutil.Process]:
    """Return every process of the stack, also what an ended supervisor left behind.

    Known by its marker; a process that closed or overwrote its environment (PostgreSQL, Airflow's workers) is known by the
    supervisor's session.
    """
    return _with_children(
        lambda process: (
            marked(process).startswith(f"{stack_id}/")
            or (session is not None and os.getsid(process.pid) == session)
        )
    )


def of_part(stack_id: str, part: str, group: int | None = None) -> list[psutil.Process]:
    """Return the processes of one part: by marker, or by its process group within this session."""
    session = os.getsid(0)
    return _with_children(
        lambda process: (
            marked(process) == f"{stack_id}/{part}"
            or (group is not None and os.getpgid(process.pid) == group and os.getsid(process.pid) == session)
        )
    )


def _with_children(belongs: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    mine = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.pid in mine or not belongs(process):
                continue
            for one in [process, *process.children(recursive=True)]:
                if one.pid not in mine and one.status() != psutil.STATUS_ZOMBIE:
                    found[one.pid] = one
        except GONE:
            continue
    return list(found.values())


def end(processes: Iterable[psutil.Process], grace_s: float = 5.0) -> int:
    """Ask the processes to end, then kill what is left; return how many there were."""
    listed = list(processes)
    for process in listed:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(listed, grace_s)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, grace_s)
    return len(listed)


def is_alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
