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
from include.operators.executor import EndingLocalExecutor

executor = EndingLocalExecutor(parallelism=3)
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
from include.operators.executor import EndingLocalExecutor
from airflow.sdk.execution_time import supervisor
from airflow.sdk.log import mask_secret

executor = EndingLocalExecutor(parallelism=1)
executor.start()
mask_secret("s3cret-of-a-task")
printing = supervisor.process_log_messages_from_subprocess((supervisor.log,))
next(printing)
printing.send(b'{"level": "error", "event": "failed: s3cret-of-a-task", "exception": [{"value": "s3cret-of-a-task"}]}')
executor.end()
"""


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
