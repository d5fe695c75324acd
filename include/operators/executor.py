"""The executor: Airflow's LocalExecutor, which knows what its workers do and does not outlive one of them.

A task that waits (for a person, for another run) has ended its process, and goes on under the same key. Airflow fails
it when it is handed out again before the former process's end was heard: it takes that for the end of the new one.
LocalExecutor never notes what it has handed out; noted, such a task is held back for the one heartbeat that it takes.

All workers read one queue, and the one that waits for work holds its lock. Killed there (by a person, or for memory), it
keeps the lock: no other worker gets a task any more, while the scheduler stays healthy. Killed at work, its slot and
its task stay taken until the task's heartbeat is missed. Both end with a new scheduler, which the supervisor starts: it
takes over what was queued and running within a minute or two, and the stages resume from what is published.

Workers print what tasks log a second time, into the scheduler's log, and there Airflow does not mask it: they do here.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import structlog
from airflow.executors.local_executor import LocalExecutor
from airflow.sdk.log import mask_logs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing import Process

    from airflow.executors.workloads import ExecuteTask, ExecutorWorkload
    from airflow.models.taskinstancekey import TaskInstanceKey

log = structlog.get_logger(__name__)

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


class WatchfulLocalExecutor(LocalExecutor):
    """Hand out a task once at a time; end the scheduler's process as soon as a worker was killed or broke.

    Workers that are told to end exit with 0. Ending is abrupt on purpose: an orderly end would wait for workers
    that cannot be told any more.
    """

    def start(self) -> None:
        """Start the workers, which inherit the masked log."""
        structlog.configure(processors=[mask_logs, *structlog.get_config()["processors"]])
        super().start()

    def sync(self) -> None:
        """Look after the workers, then do what the executor does at every heartbeat of the scheduler."""
        if killed := _killed(self.workers):
            log.critical("an executor's worker was killed: the scheduler starts anew", workers=killed)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT_CODE)
        super().sync()

    def order_queued_tasks_by_priority(self) -> list[tuple[TaskInstanceKey, ExecuteTask]]:
        """Return what may be handed out: nothing whose former process may still be at work."""
        return [item for item in super().order_queued_tasks_by_priority() if item[0] not in self.running]

    def _process_workloads(self, workload_list: Sequence[ExecutorWorkload]) -> None:
        """Note what is handed out; the executor takes it back from `running` when it hears of the end."""
        self.running.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)  # type: ignore[no-untyped-call]  # Airflow's is not typed


def _killed(workers: Mapping[int, Process]) -> dict[int, int]:
    """Return the exit code by pid of the workers that ended without having been told to."""
    return {pid: code for pid, worker in workers.items() if (code := worker.exitcode)}
