"""A stage whose every attempt makes other bytes, so that one sees whose they are; and two attempts that meet in its middle."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from attempts import Task, as_task, telling
from include.errors import StaleClaim
from include.ledger.models import Script
from include.settings import settings
from include.stage import Stage

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier
    from pathlib import Path
    from threading import Barrier as ThreadBarrier

    from include.stage import Work

CODE = ("include/errors.py",)
ADMIT = Stage("admit", "test", "contested:admit", ("sources/words",), ("media/trends",), code=CODE)
CONTESTED = Stage(
    "contested", "test", "contested:contested", ("media/trends",), ("media/scripts", "media/words"), code=CODE
)


@dataclass
class Meeting:
    """Where two attempts wait for each other: before they begin, and in their middle."""

    place: Barrier | ThreadBarrier | None = None


MEETING = Meeting()


def admit(work: Work) -> dict[str, Any]:
    from pathlib import Path

    source = work.admit("words", Path(work.params["file"]), uri="words.txt", media_type="text/plain")
    work.settle()
    _publish(work, "trends", {"words": source.sha256})
    return {}


def contested(work: Work) -> dict[str, Any]:
    work.input("trends")
    work.settle(job_id=str(work.job_id))  # no other job's output will do
    mark = uuid4().hex
    if MEETING.place is not None and work.params["meet"]:
        MEETING.place.wait(60)
    _publish(work, "script", {"by": mark}, rows=True)
    _publish(work, "words", {"by": mark, "padding": "x" * 100_000})
    return {"by": mark}


def _publish(work: Work, kind: str, content: dict[str, Any], *, rows: bool = False) -> None:
    def write(target: Path) -> None:
        target.write_text(json.dumps(content))

    row = Script(
        title="t", theme="t", provider="p", model="m", seed=0, target_s=1.0, narration="n", hashtags=[]
    )
    work.publish(
        kind,
        "",
        write,
        suffix=".json",
        media_type="application/json",
        name=f"{kind}.json",
        rows=[row] if rows else [],
    )


def race(jobs: list[tuple[UUID, bool]], place: Barrier | ThreadBarrier) -> list[str]:
    """Work for each job at the same moment as the other racer; return how each attempt ended.

    Where a job says so, both have claimed the stage and found nothing to reuse before either may publish.
    """
    MEETING.place = place
    told = []
    with telling() as adapter:
        for job, meet in jobs:
            place.wait(60)
            try:
                ended = as_task(job, Task(CONTESTED, "", {"meet": meet}), uuid4(), adapter)
                told.append(str(ended["status"]))
            except StaleClaim:
                told.append("stale")
    return told


def race_in_process(
    environment: dict[str, str], jobs: list[tuple[UUID, bool]], place: Barrier, answers: Connection
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    answers.send(race(jobs, place))
