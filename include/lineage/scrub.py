"""What every event passes before it is stored anywhere: secrets out, hostile text harmless, size bounded.

Wired by the OpenLineage client as ``transform``: it wraps the event table and the local file, so that neither
ever sees a raw event. The provider redacts by key names only, not below ``dagRun.conf`` of task events, and by values
only those that Airflow knew when the process began.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import attrs
from openlineage.client.serde import Serde
from openlineage.client.transport.transform.transform import EventTransformer

from include.lineage.facets.airflow import completed
from include.lineage.facets.run import JOB_FACET
from include.lineage.secrets import HIDDEN, SECRET_NAME, clean_text, given_to

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_TEXT = 32_768
"""Characters of one text: a stack trace of some 300 frames."""
MAX_FACET = 262_144
"""Characters of all texts of one facet."""
MAX_EVENT = 1_048_576
"""Characters of all texts of all facets of an event; facets beyond it are left out, and named."""
MAX_DEPTH = 64
SIDES = {"inputs": "inputFacets", "outputs": "outputFacets"}


class _TooLarge(Exception):
    """A facet holds more than may be kept."""


@dataclass
class Cleaner:
    """One walk through JSON values: `known` are values to hide, `room` is how many characters may still be kept."""

    known: tuple[str, ...] = ()
    mask: Callable[[str], str] = str
    room: int = MAX_EVENT
    omitted: list[str] = field(default_factory=list)

    def value(self, value: Any, *, secret: bool = False, depth: int = 0) -> Any:
        """Return a JSON value with every text cleaned and everything below a secret name hidden."""
        self.room -= 1
        if self.room < 0:
            raise _TooLarge
        if isinstance(value, dict | list | tuple):
            if depth >= MAX_DEPTH:
                return f"(cut: nested deeper than {MAX_DEPTH})"
            if not isinstance(value, dict):
                return [self.value(item, secret=secret, depth=depth + 1) for item in value]
            return {
                self.text(str(name)): self.value(
                    item, secret=secret or bool(SECRET_NAME.search(str(name))), depth=depth + 1
                )
                for name, item in value.items()
            }
        if secret and value and not isinstance(value, bool):
            return HIDDEN
        return self.text(value) if isinstance(value, str) else value

    def text(self, text: str) -> str:
        """Return a text that may be told, shortened where it is long; what was cut is said."""
        length = len(text)
        if length > MAX_TEXT:  # secrets that begin before the cut are found whole in a margin after it
            text = text[: MAX_TEXT + 8192]
        found = clean_text(self.mask(text), self.known)
        if length > MAX_TEXT:
            found = f"{found[:MAX_TEXT]} (cut: {length} characters)"
        self.room -= len(found)
        return found

    def frame(self, value: Any) -> Any:
        """Return what an event cannot do without (names, times), clean, whatever its size."""
        left, self.room = self.room, sys.maxsize
        found = self.value(value)
        self.room = left
        return found

    def facets(self, holder: str, facets: dict[str, Any] | None) -> dict[str, Any]:
        """Return facets, each bounded; one that is too large is left out as a whole and noted."""
        kept: dict[str, Any] = {}
        left = self.room
        for name, facet in (facets or {}).items():
            self.room = min(left, MAX_FACET)
            begun = self.room
            try:
                kept[self.text(name)] = self.value(facet)
                left -= begun - self.room
            except _TooLarge:
                self.omitted.append(f"{holder}.{name}"[:200])
        self.room = left
        return kept


def clean(value: Any) -> Any:
    """Return a JSON value with every text cleaned and every secret-named value hidden."""
    return Cleaner().value(value)


def scrub(
    event: dict[str, Any],
    known: tuple[str, ...] = (),
    mask: Callable[[str], str] = str,
    omitted: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the event as it may be stored: clean, bounded, with `throughline_job` on every event of a DAG run.

    `known` are values to hide wherever they are; `mask` is asked for every text first. Facets that were left out for
    their size, `omitted` among them, are named in the `omitted` field of `throughline_job`.
    """
    event = completed(event)
    cleaner = Cleaner(known, mask, omitted=list(omitted))
    found = {
        name: cleaner.frame(value)
        for name, value in event.items()
        if name not in {"run", "job", "inputs", "outputs"}
    }
    if event.get("run"):  # our own facet first: it must fit
        facets = dict(event["run"].get("facets") or {})
        ours = {JOB_FACET: facets.pop(JOB_FACET)} if JOB_FACET in facets else {}
        found["run"] = {
            **_frame(cleaner, event["run"]),
            "facets": cleaner.facets("run", {**ours, **facets}),
        }
    if event.get("job"):
        found["job"] = {
            **_frame(cleaner, event["job"]),
            "facets": cleaner.facets("job", event["job"].get("facets")),
        }
    for side, more in SIDES.items():
        if event.get(side) is not None:
            found[side] = [_dataset(cleaner, item, more) for item in event[side]]
    if cleaner.omitted and JOB_FACET in ((found.get("run") or {}).get("facets") or {}):
        found["run"]["facets"][JOB_FACET]["omitted"] = cleaner.omitted[:100]
    return found


def _dataset(cleaner: Cleaner, item: dict[str, Any], more: str) -> dict[str, Any]:
    kept = _frame(cleaner, item)
    kept["facets"] = cleaner.facets(str(item.get("name")), item.get("facets"))
    if item.get(more) is not None:
        kept[more] = cleaner.facets(str(item.get("name")), item[more])
    return kept


def _plain(event: Any, omitted: list[str]) -> dict[str, Any]:
    """Return an event of the client as JSON values; facets that nest too deep for Python are left out and noted."""
    try:
        found: dict[str, Any] = Serde.to_dict(event)
    except RecursionError:
        lists = {
            side: [_shallow(item, item.name, omitted) for item in getattr(event, side, None) or []]
            for side in SIDES
        }
        run = {"run": _shallow(event.run, "run", omitted)} if hasattr(event, "run") else {}
        found = Serde.to_dict(attrs.evolve(event, job=_shallow(event.job, "job", omitted), **run, **lists))
    return found


def _shallow(holder: Any, named: str, omitted: list[str]) -> Any:
    """Return a run, job or dataset with those facets that can be walked."""
    kept: dict[str, dict[str, Any]] = {}
    for name in ("facets", *SIDES.values()):
        if hasattr(holder, name):
            facets = getattr(holder, name) or {}
            kept[name] = {key: facet for key, facet in facets.items() if _walkable(facet)}
            omitted += [f"{named}.{key}" for key in facets if key not in kept[name]]
    return attrs.evolve(holder, **kept)


def _walkable(facet: Any) -> bool:
    try:
        Serde.to_dict(facet)
    except RecursionError:
        return False
    return True


def _frame(cleaner: Cleaner, item: dict[str, Any]) -> dict[str, Any]:
    """Return an object's own fields without its facets."""
    return {
        name: cleaner.frame(value)
        for name, value in item.items()
        if name not in {"facets", "inputFacets", "outputFacets"}
    }


class Scrub(EventTransformer):
    """The transformer that the OpenLineage client is configured with."""

    def transform(self, event: Any) -> Any:
        """Return the scrubbed event as a JSON object; every transport of the client takes one."""
        omitted: list[str] = []
        plain = _plain(event, omitted)
        return scrub(plain, given_to(os.environ), self.mask, omitted)

    def mask(self, text: str) -> str:
        """Return the text without what is known as a secret elsewhere; here nothing is."""
        return text
