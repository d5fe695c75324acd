"""When two answers are the same: what is normalised before they are compared, and where they differ.

Normalised are identifiers that a server made (they must map one to one, within an answer and over all answers that are
otherwise equal), times of a server's own clock, bounds of statistics, the duration of a health check, the number and the
statement in the text of a server error, and the order of lists that have none. Elements of a list are paired by what
names them, so that one element too many is one difference.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
ERROR_NUMBER = re.compile(r"\(ID [0-9a-f]{16}\)")
SQL_ERROR = re.compile(
    r"(org\.postgresql\.util\.PSQLException: ERROR: [^\n]*?)(?:\n| \[statement:).*", re.DOTALL
)
UNORDERED = {
    "graph", "inEdges", "outEdges", "inputs", "outputs", "tags", "inputDatasetVersions", "outputDatasetVersions",
    "columnLineage", "inputFields", "results", "errors",
}  # fmt: skip
TIES = {
    "jobs": "updatedAt",
    "runs": "startedAt",
    "latestRuns": "startedAt",
    "versions": "createdAt",
    "events": "eventTime",
}
"""Ordered lists: elements of which this is equal may stand in any order."""
CLOCK = "<the server's clock>"
MADE = "<made by the server>"
Difference = tuple[str, Any, Any]
"""A path and what stands there on either side; ABSENT for nothing."""
ABSENT = "<absent>"


@dataclass
class Side:
    """One server's answers: the identifiers that its requests told it, and when it was asked."""

    told: set[str]
    begun: float
    ended: float

    def plain(self, value: Any, key: str = "") -> Any:
        """Return an answer with what is of the server's own clock named so."""
        if isinstance(value, dict):
            return {name: self.plain(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if key in ("startInterval", "endInterval", "duration"):
            return f"<{key}>"
        if isinstance(value, str) and TIME.fullmatch(value):
            at = datetime.fromisoformat(value).timestamp()
            return CLOCK if self.begun <= at <= self.ended else value
        if isinstance(value, str) and key == "message":
            return SQL_ERROR.sub(r"\1", ERROR_NUMBER.sub("(ID)", value))
        return value

    def masked(self, value: Any) -> str:
        """Return what an element says beside the identifiers that the server made."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=False)
        return UUID.sub(lambda found: found[0] if found[0].lower() in self.told else MADE, text)

    def name(self, value: Any) -> str:
        """Return what names an element of a list: its id, or namespace and name; else nothing."""
        if isinstance(value, dict):
            if "eventTime" in value:
                about = value.get("job") or value.get("dataset") or {}
                return f"{value['eventTime']} {value.get('eventType')} {about.get('name')}"
            for key in ("id", "nodeId", "runId", "datasetVersionId", "run"):
                if key in value:
                    named = value[key]
                    if isinstance(named, dict):
                        return ":".join(str(named[k]) for k in ("namespace", "name", "id") if k in named)
                    return self.masked(named).strip('"')
            if "name" in value:
                return ":".join(str(value[k]) for k in ("namespace", "dataset", "name") if k in value)
            if "origin" in value:
                return self.masked(f"{value['origin']} -> {value['destination']}").strip('"')
            return ":".join(str(value[k]) for k in ("namespace", "dataset", "field") if k in value)
        return self.masked(value).strip('"') if isinstance(value, str) else ""


@dataclass
class Comparison:
    """Compares the answers of two servers to the same requests."""

    theirs: Side
    ours: Side
    mapped: dict[str, str] = field(default_factory=dict)
    backwards: dict[str, str] = field(default_factory=dict)

    def differences(self, their_body: Any, our_body: Any) -> list[Difference]:
        """Return where two bodies differ; equal ones also must not contradict earlier ones in their identifiers."""
        pairs: dict[str, str] = {}
        back: dict[str, str] = {}
        found = list(
            self._walk(self.theirs.plain(their_body), self.ours.plain(our_body), "$", "", (pairs, back))
        )
        if found:
            return found
        for one, two in pairs.items():
            if self.mapped.setdefault(one, two) != two or self.backwards.setdefault(two, one) != one:
                return [
                    (
                        "$identifiers",
                        f"{one} was {self.backwards.get(two)}",
                        f"{two} was {self.mapped.get(one)}",
                    )
                ]
        return []

    def _walk(
        self, one: Any, two: Any, path: str, key: str, pairs: tuple[dict[str, str], dict[str, str]]
    ) -> Iterator[Difference]:
        if isinstance(one, dict) and isinstance(two, dict):
            for name in sorted(one.keys() | two.keys()):
                if name not in one or name not in two:
                    yield f"{path}.{name}", one.get(name, ABSENT), two.get(name, ABSENT)
                else:
                    yield from self._walk(one[name], two[name], f"{path}.{name}", name, pairs)
        elif isinstance(one, list) and isinstance(two, list):
            yield from self._lists(one, two, path, key, pairs)
        elif isinstance(one, str) and isinstance(two, str):
            if not self._same_text(one, two, pairs):
                yield path, one, two
        elif type(one) is not type(two) or one != two:
            yield path, one, two

    def _lists(
        self,
        one: list[Any],
        two: list[Any],
        path: str,
        key: str,
        pairs: tuple[dict[str, str], dict[str, str]],
    ) -> Iterator[Difference]:
        ours = self._named(two, self.ours)
        matched = []
        for name, item in self._named(one, self.theirs).items():
            if name in ours:
                matched.append((name, item, ours.pop(name)))
            else:
                yield f"{path}[{name}]", item[1], ABSENT
        for name, (_, item) in ours.items():
            yield f"{path}[{name}]", ABSENT, item
        if key not in UNORDERED and not _in_order(matched, TIES.get(key)):
            yield (
                f"{path}.order",
                [name for name, _, _ in matched],
                [name for name, _, _ in sorted(matched, key=lambda pair: pair[2][0])],
            )
        for name, (_, item), (_, other) in matched:
            yield from self._walk(item, other, f"{path}[{name}]", "", pairs)

    def _named(self, items: list[Any], side: Side) -> dict[str, tuple[int, Any]]:
        """Return the elements by name; those of one name are told apart by their content, then by their place."""
        rows = [(side.name(item), side.masked(item), place, item) for place, item in enumerate(items)]
        named: dict[str, tuple[int, Any]] = {}
        for name, _, place, item in sorted(rows, key=lambda row: row[:3]):
            again = 0
            while (label := f"{name}~{again}" if again else name) in named:
                again += 1
            named[label] = (place, item)
        return dict(sorted(named.items(), key=lambda pair: pair[1][0]))

    def _same_text(self, one: str, two: str, pairs: tuple[dict[str, str], dict[str, str]]) -> bool:
        if UUID.sub("", one) != UUID.sub("", two):
            return False
        there, back = pairs
        for mine, other in zip(UUID.findall(one.lower()), UUID.findall(two.lower()), strict=True):
            if mine in self.theirs.told or other in self.ours.told:
                if mine != other:
                    return False
            elif there.setdefault(mine, other) != other or back.setdefault(other, mine) != mine:
                return False
        return True


def _in_order(matched: list[tuple[str, tuple[int, Any], tuple[int, Any]]], tie: str | None) -> bool:
    """Return whether pairs that stand in their order stand in ours too, elements of equal `tie` apart."""

    def rank(item: Any) -> Any:
        return item.get(tie) if tie and isinstance(item, dict) else None

    return all(
        before[2][0] < after[2][0] or (tie is not None and rank(before[1][1]) == rank(after[1][1]))
        for before, after in pairwise(matched)
    )


def told_in(text: str) -> set[str]:
    """Return the identifiers that a text of requests tells."""
    return {found.lower() for found in UUID.findall(text)}
