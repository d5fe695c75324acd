"""kill -9 of a process that has others at work for it: they die with it, and no temporary file stays for good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from attempts import attempt, start
from tests.faults.oracle import assert_sound, settle
from tests.faults.prepared import COMPOSITION, FIRST_SCENE, Prepared, digests

if TYPE_CHECKING:
    from attempts import Task
    from include.marquez.client import MarquezClient
    from tests.include.lineage.receiver import Receiver

ROOT = Path(__file__).resolve().parents[2]
GONE_WITHIN_S = 5.0
"""It takes some milliseconds; a machine that has more to do than it can may take longer to schedule a death."""
POLL_S = 0.01
# Each would work for minutes: only its parent's death ends it. What to look for in the commands of the parent's
# descendants (one process for each word), and how much CPU time, in seconds, says that they are past their beginning.
WORKING = {
    "ffmpeg": (
        "from include.artifacts import media;"
        "media.run(['-v', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc=size=64x64:rate=5', '-f', 'null', '-'])",
        ("testsrc",),
        0.0,
    ),
    "ffmpeg in a thread": (
        "import threading; from include.artifacts import media;"
        "arguments = ['-v', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc=size=64x64:rate=5', '-f', 'null', '-'];"
        "thread = threading.Thread(target=media.run, args=(arguments,)); thread.start(); thread.join()",
        ("testsrc",),
        0.0,
    ),
    "espeak-ng": (
        "from include.video.voices.espeak import EspeakVoice;"
        "EspeakVoice('en-us').utter('The quick brown fox jumps over the lazy dog. ' * 20000, 160)",
        ("espeak_child",),
        0.5,
    ),
    "typesetter": (
        "from datetime import UTC, datetime; from include.reports.render import typeset;"
        "typeset('<table><tr><td colspan=100000>x</td></tr></table>', captured_at=datetime.now(UTC))",
        ("typesetter", "typesetter"),
        0.0,
    ),
}


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def working(
    pid: int, words: tuple[str, ...], cpu_s: float = 0.0, within_s: float = 120
) -> list[psutil.Process]:
    """Wait until processes below `pid`, one for each word, are at what the words say."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = [one for one in descendants(pid) if works(one, words[0], cpu_s)]
        if len(found) >= len(words):
            return found
        time.sleep(POLL_S)
    raise AssertionError(f"{words} did not begin")


def works(process: psutil.Process, word: str, cpu_s: float) -> bool:
    with suppress(psutil.Error):
        used = process.cpu_times()
        command = process.cmdline()
        return word in " ".join(command) and "setpriv" not in command[0] and used.user + used.system >= cpu_s
    return False


def assert_dead(processes: list[psutil.Process], within_s: float = GONE_WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while left := [one for one in processes if alive(one)]:
        if time.monotonic() > deadline:
            for one in left:
                with suppress(psutil.Error):
                    one.kill()
            raise AssertionError(f"still there {within_s} s after its parent was killed: {left}")
        time.sleep(POLL_S)


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("what", WORKING)
def test_what_works_for_a_killed_process_dies_with_it(what: str) -> None:
    program, words, cpu_s = WORKING[what]
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    try:
        children = working(parent.pid, words, cpu_s)
        assert all(alive(child) for child in children)
    finally:
        parent.kill()
        parent.wait()
    assert parent.returncode == -signal.SIGKILL, "it was still at work"
    assert_dead(children)


@pytest.mark.slow
@pytest.mark.parametrize("task", [FIRST_SCENE, COMPOSITION], ids=str)
def test_a_stage_killed_while_ffmpeg_works_leaves_what_a_sweep_finds(
    prepared: Prepared,
    task: Task,
    tmp_path: Path,
    receiver: Receiver,
    server: MarquezClient,
    temporary: Path,
) -> None:
    with prepared.before_task(task, tmp_path) as dsn:
        running = start(prepared.job, task)
        pid = running.process.pid
        assert pid is not None
        children = working(pid, ("-hide_banner",))  # at work, not asked for its version
        os.kill(pid, signal.SIGKILL)
        assert running.wait().exit_code == -signal.SIGKILL
        assert_dead(children)
        left = [path.name for path in temporary.iterdir()]
        assert left, "a killed process cannot tidy up"

        assert attempt(prepared.job, task).status == "succeeded"
        assert sorted(path.name for path in temporary.iterdir()) == sorted(left), (
            "the next one leaves nothing"
        )
        assert digests(dsn, task).items() <= prepared.made.items()
        settled = settle(dsn, server)
        assert sorted(Path(path).name for path in settled.swept.scratch) == sorted(left)
        assert list(temporary.iterdir()) == []
        assert_sound(dsn, receiver.got)
