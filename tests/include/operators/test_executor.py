"""The executor with real workers, in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import psutil
import pytest

from include.operators.executor import EXIT_CODE

pytestmark = pytest.mark.slow

SCRIPT = r"""
import sys
from include.operators.executor import WatchfulLocalExecutor

executor = WatchfulLocalExecutor(parallelism=3)
executor.start()
sys.stdout.write(f"workers {' '.join(map(str, executor.workers))}\n")  # at once: the workers write there too
sys.stdout.flush()
for line in sys.stdin:
    executor.sync()
    print("alive", flush=True)
executor.end()
print("ended", flush=True)
"""


TELLING = """
from include.operators.executor import WatchfulLocalExecutor
from airflow.sdk.execution_time import supervisor
from airflow.sdk.log import mask_secret

executor = WatchfulLocalExecutor(parallelism=1)
executor.start()
mask_secret("s3cret-of-a-task")
printing = supervisor.process_log_messages_from_subprocess((supervisor.log,))
next(printing)
printing.send(b'{"level": "error", "event": "failed: s3cret-of-a-task", "exception": [{"value": "s3cret-of-a-task"}]}')
executor.end()
"""


ONE_AT_A_TIME = """
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from airflow.executors.workloads import BundleInfo, ExecuteTask
from airflow.executors.workloads.task import TaskInstanceDTO

from include.operators.executor import WatchfulLocalExecutor

facts = dict(id=uuid4(), dag_version_id=uuid4(), task_id="t", dag_id="d", run_id="r", try_number=1, map_index=-1)
task = TaskInstanceDTO(**facts, pool_slots=1, queue="default", priority_weight=1)
work = ExecuteTask(ti=task, token="", dag_rel_path=Path("d.py"), bundle_info=BundleInfo(name="b"), log_path=None)

executor = WatchfulLocalExecutor(parallelism=2)
executor.start()
try:
    executor.queue_workload(work, None)
    executor.heartbeat()
    assert executor.running == {task.key} and not executor.queued_tasks, "it is noted"
    executor.queue_workload(work, None)  # it goes on, before its process is heard to have ended
    executor.heartbeat()
    assert executor.queued_tasks, "it was handed out a second time"
    deadline = time.monotonic() + 60
    while not executor.get_event_buffer():
        assert executor.queued_tasks and executor.has_task(task), "it was handed out a second time"
        assert time.monotonic() < deadline
        executor.heartbeat()
    executor.heartbeat()
    assert executor.running == {task.key} and not executor.queued_tasks, "it goes on once its process has ended"
finally:
    executor.end()
assert set(executor.get_event_buffer()) == {task.key} and not executor.running
print("one at a time", flush=True)
"""


def test_a_task_that_goes_on_is_handed_out_when_its_former_process_has_ended() -> None:
    nobody = {  # the workers ask an API server that is not there, and fail
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://127.0.0.1:9/execution/",
        "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", ONE_AT_A_TIME], capture_output=True, text=True, env=os.environ | nobody
    )
    assert "one at a time" in done.stdout, done.stderr[-2000:]


def test_what_a_task_logs_is_masked_where_a_worker_prints_it() -> None:
    done = subprocess.run([sys.executable, "-c", TELLING], capture_output=True, text=True, check=True)
    assert "failed: ***" in done.stdout
    assert "s3cret" not in done.stdout + done.stderr


@pytest.fixture
def executor() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def workers(executor: subprocess.Popen[str]) -> list[int]:
    """Read the pids that it prints, among what its workers log."""
    assert executor.stdout is not None
    for line in executor.stdout:
        if found := re.search(r"workers (\d+) (\d+) (\d+)", line):
            return [int(pid) for pid in found.groups()]
    raise AssertionError("the executor did not start")


def test_a_killed_idle_worker_ends_the_process(executor: subprocess.Popen[str]) -> None:
    pids = workers(executor)
    os.kill(pids[1], signal.SIGKILL)
    while psutil.Process(pids[1]).status() != psutil.STATUS_ZOMBIE:
        executor.poll()
    assert executor.stdin is not None
    executor.stdin.write("\n")
    executor.stdin.flush()
    try:
        assert executor.wait(60) == EXIT_CODE
    finally:
        for pid in (pids[0], pids[2]):
            os.kill(pid, signal.SIGKILL)  # orphans now, which the supervisor's next scheduler would end


def test_with_its_workers_alive_it_goes_on_and_ends_in_order(executor: subprocess.Popen[str]) -> None:
    workers(executor)
    said, _ = executor.communicate("\n\n", timeout=60)
    assert executor.returncode == 0
    assert said.count("alive") == 2
    assert said.rstrip().endswith("ended")
