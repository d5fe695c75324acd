"""Why two jobs, or two files, differ: which artifacts, and where the difference begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from include.errors import InvalidInput
from include.ledger.models import Job
from include.proof.export.record import gather

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.orm import Session

    from include.proof.export.record import Record, Run
    from include.proof.target import Target
    from include.proof.trace import Making

Name = tuple[str, str]
State = Literal["same", "changed", "only left", "only right"]


@dataclass(frozen=True)
class Compared:
    """One kind and key on both sides: digests, and for a changed one why.

    `inputs` are the (kind, key) of the exact inputs that differ; `code` says that the stage's code does, `decisions`
    that parameters or settings do. With none of them the same recipe gave other bytes.
    """

    kind: str
    key: str
    state: State
    left: str | None
    right: str | None
    inputs: tuple[Name, ...] = ()
    code: bool = False
    decisions: bool = False

    @property
    def begins(self) -> bool:
        """Say whether the difference begins here: bytes changed, inputs did not."""
        return self.state == "changed" and not self.inputs

    @property
    def why(self) -> str:
        """Return the reason in words; empty where nothing differs."""
        if self.state != "changed":
            return "" if self.state == "same" else self.state
        reasons = [
            *(f"input {kind} {key}".strip() for kind, key in self.inputs),
            *(["code"] if self.code else []),
            *(["parameters"] if self.decisions else []),
        ]
        if self.kind == "source":
            return "other bytes came from outside"
        return ", ".join(reasons) or "the same recipe gave other bytes"


@dataclass(frozen=True)
class Difference:
    """Everything that was compared, in order of kind and key, and the parameters that differ: name -> (left, right)."""

    artifacts: tuple[Compared, ...]
    parameters: dict[str, tuple[Any, Any]]

    @property
    def differs(self) -> bool:
        """Say whether any artifact differs."""
        return any(item.state != "same" for item in self.artifacts)

    @property
    def sentence(self) -> str:
        """Return the answer in one sentence."""
        other = [item for item in self.artifacts if item.state != "same"]
        if not other:
            return f"all {len(self.artifacts)} artifacts are the same bytes"
        begins = [f"{item.kind} {item.key}".strip() + f" ({item.why})" for item in other if item.begins]
        return f"{len(other)} of {len(self.artifacts)} artifacts differ" + (
            f"; the difference begins at {', '.join(begins)}" if begins else ""
        )


@dataclass(frozen=True)
class _Side:
    artifacts: dict[Name, Making]
    inputs: dict[Name, dict[Name, str]]
    runs: dict[Name, Run]
    params: dict[str, Any]


def diff(session: Session, left: Target, right: Target, *, as_of: datetime | None = None) -> Difference:
    """Compare the current outputs of two jobs, or the lines behind two files, artifact by artifact.

    Raises InvalidInput where one side has nothing to compare, or a job is compared with a file.
    """
    if (left.kind == "job") != (right.kind == "job"):
        raise InvalidInput(f"{left} and {right}: compare two jobs, or two files")
    sides = [_side(session, target, as_of) for target in (left, right)]
    names = sorted({*sides[0].artifacts, *sides[1].artifacts})
    parameters = {
        name: (sides[0].params.get(name), sides[1].params.get(name))
        for name in sorted({*sides[0].params, *sides[1].params})
        if sides[0].params.get(name) != sides[1].params.get(name)
    }
    return Difference(tuple(_compare(name, sides[0], sides[1]) for name in names), parameters)


def _compare(name: Name, left: _Side, right: _Side) -> Compared:
    mine, other = left.artifacts.get(name), right.artifacts.get(name)
    if mine is None or other is None:
        state: State = "only right" if mine is None else "only left"
        return Compared(*name, state, mine.sha256 if mine else None, other.sha256 if other else None)
    if mine.sha256 == other.sha256:
        return Compared(*name, "same", mine.sha256, other.sha256)
    read, also = left.inputs[name], right.inputs[name]
    inputs = tuple(used for used in sorted({*read, *also}) if read.get(used) != also.get(used))
    code = left.runs[name].code_digest != right.runs[name].code_digest
    decisions = not inputs and not code and left.runs[name].recipe != right.runs[name].recipe
    if mine.is_source:
        code = decisions = False  # nobody here made it
    return Compared(*name, "changed", mine.sha256, other.sha256, inputs, code, decisions)


def _side(session: Session, target: Target, as_of: datetime | None) -> _Side:
    record = gather(session, target, as_of=as_of)
    kept = set(record.roots) if target.kind == "job" else _line(record, record.roots[0])
    inputs = record.inputs()
    artifacts: dict[Name, Making] = {}
    for key, item in record.artifacts.items():
        if key in kept:
            artifacts.setdefault((item.kind, item.key), item)
    job = session.get_one(Job, record.artifacts[record.roots[0]].job_id)
    return _Side(
        artifacts,
        {
            name: {(used.kind, used.key): used.sha256 for used in inputs[item.artifact_id]}
            for name, item in artifacts.items()
        },
        {name: record.runs[item.stage_run_id] for name, item in artifacts.items()},
        {name: value for name, value in job.params.items() if name != "job_id"},
    )


def _line(record: Record, root: UUID) -> set[UUID]:
    """Return what an artifact was made from by exact edges alone, itself among it."""
    used: dict[UUID, list[UUID]] = {}
    for made, read in record.edges:
        used.setdefault(made, []).append(read)
    reached, waiting = {root}, [root]
    while waiting:
        for there in used.get(waiting.pop(), ()):
            if there not in reached:
                reached.add(there)
                waiting.append(there)
    return reached
