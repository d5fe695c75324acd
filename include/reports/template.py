"""Report templates: strict, sandboxed Jinja over files of this package, with a version that the files themselves decide.

A template is a folder below `templates/`: `template.json` (name, version, title), `page.html`, `page.css`; all share
`templates/shared`. Its digest covers its own and the shared files, so that a changed file is another version whatever
number somebody wrote. Views are plain JSON types; a template can call nothing of ours.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from jinja2 import DictLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from include.errors import InvalidInput, QualityGateFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).resolve().parent / "templates"
SHARED = "shared"
NAMES = ("lead_audit", "dossier")
SEMVER = re.compile(r"\d+\.\d+\.\d+")
LONGEST_TEXT = 300
"""No text of the data is printed longer; a word of thousands of letters would keep the layout busy for minutes."""
PICTURE = "data:image/jpeg;base64,"
VERSION_NAMESPACE = UUID("4f0f2c5e-8a53-5f0e-9a43-0f6c1b6f1f10")


@dataclass(frozen=True)
class Template:
    """One version of a template: name, number, title, digest of its files, and the files."""

    name: str
    version: str
    title: str
    sha256: str
    files: Mapping[str, str]

    @property
    def version_id(self) -> UUID:
        """The same files have the same id everywhere."""
        return uuid5(VERSION_NAMESPACE, f"{self.name}/{self.sha256}")

    @property
    def label(self) -> str:
        """Name, number and digest in one, as a semantic version with build metadata."""
        return f"{self.name} {self.version}+{self.sha256[:12]}"

    def html(self, view: Mapping[str, Any]) -> str:
        """Return the document for a view.

        Raises QualityGateFailed when the view lacks what the template names, or the template does what it may not.
        """
        environment = ImmutableSandboxedEnvironment(
            autoescape=True,
            undefined=StrictUndefined,
            loader=DictLoader(dict(self.files)),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(FILTERS)
        # style sheets are ours, from the digested files, and hold quotes and > that must stay as they are
        styles = [self.files[f"{SHARED}/frame.css"], self.files[f"{self.name}/page.css"]]
        try:
            return environment.get_template(f"{self.name}/page.html").render(
                view=clipped(dict(view)), template={"title": self.title}, styles=Markup("\n".join(styles))
            )
        except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
            raise QualityGateFailed(
                f"template {self.name} {self.version}: {type(error).__name__}: {error}"
            ) from error


def load(name: str, folder: Path = FOLDER) -> Template:
    """Return a template; only declared names exist.

    Raises InvalidInput when there is no such template, or its declaration is not whole.
    """
    if name not in NAMES:
        raise InvalidInput(f"template {name!r} does not exist; there are {', '.join(NAMES)}")
    files: dict[str, str] = {}
    digest = hashlib.sha256()
    for path in sorted(
        path for part in (SHARED, name) for path in (folder / part).rglob("*") if path.is_file()
    ):
        relative = path.relative_to(folder).as_posix()
        content = path.read_bytes()
        digest.update(relative.encode() + b"\0" + hashlib.sha256(content).digest())
        files[relative] = content.decode()
    declaration = json.loads(files.get(f"{name}/template.json", "{}"))
    version = str(declaration.get("version", ""))
    if declaration.get("name") != name or not SEMVER.fullmatch(version) or not declaration.get("title"):
        raise InvalidInput(f"templates/{name}/template.json: name, version (x.y.z) and title are due")
    return Template(name, version, str(declaration["title"]), digest.hexdigest(), files)


@cache
def current(name: str) -> Template:
    """Return the template that this process uses from now on."""
    return load(name)


# -- filters: numbers and digests as a reader wants them ---------------------------------------------------------


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with thousands set apart.

    >>> number(1234567), number(3.14159, 2), number(None)
    ('1,234,567', '3.14', '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(value: float | None, digits: int = 0) -> str:
    """Return a share as a percentage.

    >>> percent(0.385), percent(None)
    ('38%', '–')
    """
    return "–" if value is None else f"{value:.{digits}%}"


def moment(value: str | None) -> str:
    """Return an ISO time as people read it, in UTC to the second.

    >>> moment("2026-01-02T03:04:05.678901+00:00")
    '2026-01-02 03:04:05 UTC'
    """
    return "–" if not value else f"{str(value)[:19].replace('T', ' ')} UTC"


def short(value: str | None, length: int = 12) -> str:
    """Return the head of a digest or identifier."""
    return "–" if not value else str(value)[:length]


def size(value: float | None) -> str:
    """Return a size in bytes as people read it.

    >>> size(999), size(1536000), size(None)
    ('999 B', '1.5 MB', '–')
    """
    if value is None:
        return "–"
    amount = float(value)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def clipped(value: Any) -> Any:
    """Return a view with every text cut to `LONGEST_TEXT` characters; pictures stay whole.

    >>> len(clipped({"name": "x" * 999, "rows": [1]})["name"])
    300
    """
    if isinstance(value, str) and len(value) > LONGEST_TEXT and not value.startswith(PICTURE):
        return value[: LONGEST_TEXT - 1] + "…"
    if isinstance(value, dict):
        return {name: clipped(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [clipped(item) for item in value]
    return value


FILTERS = {"number": number, "percent": percent, "moment": moment, "short": short, "size": size}
