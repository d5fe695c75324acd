"""HTML to PDF/A-3u: the same HTML, attachments and captured time give the same bytes.

`typeset` hands the document to a sealed child of the typesetter (`include.reports.typesetter`): 60 s, 1.5 GB, no
network, no files. What a document may use is inside it, as ``data:`` addresses.

PDF/A conformance is what WeasyPrint's variant ``pdf/a-3u`` promises; `tests/include/reports/test_pdfa.py` says how
far it is checked.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from include.artifacts.digests import canonical_json, sha256_file
from include.errors import ConfigurationError, InvalidInput, QualityGateFailed
from include.reports.typesetter import receive, send
from include.settings import ROOT

DEBIAN_PACKAGES = (
    "libpango-1.0-0",
    "libpangoft2-1.0-0",
    "libharfbuzz0b",
    "libharfbuzz-subset0",
    "fontconfig",
    "fonts-noto-core",
    "fonts-noto-cjk",
    "fonts-noto-color-emoji",
    "fonts-dejavu-core",
)
"""What a bare Debian lacks; WeasyPrint loads these libraries at run time."""
FAMILIES = ("Noto Sans", "Noto Sans:bold", "DejaVu Sans Mono")
"""The faces our templates ask for first; their digests are part of the recipe."""
PASSED_ON = (
    "PATH",
    "HOME",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "XDG_CACHE_HOME",
    "LD_LIBRARY_PATH",
    "TZDIR",
)
"""The only variables of the environment that the typesetter sees: no settings, no secrets."""


@dataclass(frozen=True)
class Attachment:
    """A text file inside the PDF; `relationship` as in ISO 32000-2, 7.11.3."""

    name: str
    text: str
    description: str
    relationship: str = "Source"


@dataclass(frozen=True)
class Limits:
    """What one document may use."""

    seconds: float = 60.0
    memory_bytes: int = 1536 * 2**20


@dataclass(frozen=True)
class Typeset:
    """A rendered document; `complaints` are WeasyPrint's warnings about it."""

    pdf: bytes
    pages: int
    complaints: tuple[str, ...] = field(default=())

    @property
    def sha256(self) -> str:
        """Digest of the bytes."""
        return hashlib.sha256(self.pdf).hexdigest()


class Typesetter:
    """One typesetting server, used by one thread at a time; started on first use, gone with its owner."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._recipe: dict[str, Any] = {}
        self._owner = 0

    def recipe(self) -> dict[str, Any]:
        """Return the versions and fonts that decide the bytes, beside HTML, attachments and time."""
        with self._lock:
            self._ready()
            return {**self._recipe, "fonts": font_digests()}

    def render(self, request: dict[str, Any], limits: Limits) -> Typeset:
        """Render one document.

        Raises InvalidInput when the document asks for something outside itself, QualityGateFailed when it does not
        finish within its limits, ConfigurationError when the machine cannot typeset.
        """
        with self._lock:
            connection = self._ready()
            try:
                send(
                    connection,
                    {"seconds": limits.seconds, "memory_bytes": limits.memory_bytes},
                    canonical_json(request),
                )
                answer, pdf = receive(connection)
            except (EOFError, OSError) as error:
                self._stop()
                raise QualityGateFailed(f"the typesetter went away while rendering: {error}") from error
            except BaseException:
                self._stop()  # interrupted in the middle of a frame: this connection is of no use any more
                raise
        if answer["ok"]:
            return Typeset(pdf, int(answer["pages"]), tuple(answer["complaints"]))
        raise _refusal(answer, limits)

    def close(self) -> None:
        """End the server."""
        with self._lock:
            self._stop()

    def _ready(self) -> socket.socket:
        if self._connection is not None and self._owner == os.getpid():
            return self._connection
        if self._connection is not None:  # a fork of the owner: its server is not ours to use or end
            self._connection.close()
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        program = f"from include.reports.typesetter import main; main({theirs.fileno()})"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                pass_fds=(theirs.fileno(),),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._connection, self._owner = ours, os.getpid()
        try:
            hello, _ = receive(ours)
        except EOFError as error:
            self._stop()
            raise ConfigurationError(f"the typesetter does not start{_remedy()}") from error
        if not hello["ok"]:
            self._stop()
            raise ConfigurationError(f"the typesetter does not start ({hello['message']}){_remedy()}")
        self._recipe = hello["recipe"]
        return ours

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None and self._owner == os.getpid():
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._connection = self._process = None


TYPESETTER = Typesetter()
atexit.register(TYPESETTER.close)


def _remedy() -> str:
    return (
        f": WeasyPrint needs libraries and fonts of the system; apt-get install {' '.join(DEBIAN_PACKAGES)}"
    )


def _refusal(answer: dict[str, Any], limits: Limits) -> Exception:
    why, message = answer["why"], answer["message"]
    if why == "fetch":
        return InvalidInput(
            f"the report asks for something outside itself, which reports may not: {message};"
            " put it into the document as a data: address"
        )
    reasons = {
        "time": f"it takes more than {limits.seconds:g} s",
        "memory": f"it needs more than {limits.memory_bytes // 2**20} MB",
        "depth": "its elements are nested too deeply",
        "size": f"the PDF would be too large ({message})",
        "died": f"{message} (limits: {limits.seconds:g} s, {limits.memory_bytes // 2**20} MB)",
    }
    return QualityGateFailed(
        f"the report cannot be rendered: {reasons.get(why, message)}; give it less content"
    )


@cache
def font_digests() -> dict[str, str]:
    """Return file name and sha256 of the face that stands for each family our templates ask for.

    Raises ConfigurationError when fontconfig is not there.
    """
    found = {}
    for family in FAMILIES:
        try:
            answer = subprocess.run(
                ["fc-match", "--format=%{file}", family],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigurationError(f"fc-match does not work ({error}){_remedy()}") from error
        path = Path(answer.stdout)
        if not path.is_file():
            raise ConfigurationError(f"no font stands for {family!r}{_remedy()}")
        found[family] = f"{path.name} sha256:{sha256_file(path)}"
    return found


def typeset(
    html: str,
    *,
    captured_at: datetime,
    attachments: tuple[Attachment, ...] = (),
    xmp: dict[str, str] | None = None,
    limits: Limits | None = None,
    typesetter: Typesetter | None = None,
) -> Typeset:
    """Return HTML as PDF/A-3u: tagged, with attachments and identifiers in XMP, the same bytes every time.

    `captured_at` is the only time in the file. `xmp` values appear under the namespace of `include.reports.typesetter`.

    Raises InvalidInput, QualityGateFailed, ConfigurationError as `Typesetter.render` says.
    """
    stamp = captured_at.astimezone(UTC).replace(microsecond=0)
    request = {
        "html": html,
        "epoch": int(stamp.timestamp()),
        "xmp": xmp or {},
        "attachments": [
            {
                "name": item.name,
                "text": item.text,
                "description": item.description,
                "relationship": item.relationship,
            }
            for item in attachments
        ],
    }
    request["identifier"] = hashlib.sha256(canonical_json(request)).hexdigest()[:32]
    return (typesetter or TYPESETTER).render(request, limits or Limits())
