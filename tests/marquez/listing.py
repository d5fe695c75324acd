"""The list of deliberate differences from Marquez, and the page that is made from it.

``python tests/marquez/listing.py`` writes docs/marquez-compatibility.md; with ``--check`` it only says whether it is stale.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "marquez-compatibility.md"
START, END = "<!-- from tests/marquez/differences.toml -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Listed:
    """One deliberate difference: what Marquez answers, what this server does, why, and where the recordings show it.

    `test` (file::name) proves one that they do not show.
    """

    name: str
    marquez: str
    here: str
    why: str
    where: tuple[str, ...] = ()
    test: str | None = None

    def excuses(self, site: str) -> bool:
        """Return whether the difference at a site, ``<scenario>: <request> <JSON path>``, is of this kind."""
        return any(re.search(pattern, site) for pattern in self.where)

    def row(self) -> str:
        return f"| **{self.name}** | {self.marquez} | {self.here} | {self.why} |\n"


def read() -> tuple[Listed, ...]:
    with (HERE / "differences.toml").open("rb") as file:
        return tuple(
            Listed(**entry | {"where": tuple(entry.get("where", ()))})
            for entry in tomllib.load(file)["difference"]
        )


DIFFERENCES = read()


def page() -> str:
    """Return the page as it should be: what is written by hand around the table, the table from the list."""
    written = PAGE.read_text(encoding="utf-8")
    before, _, rest = written.partition(START)
    _, _, after = rest.partition(END)
    head = "| what | Marquez 0.51.1 | here | why |\n|---|---|---|---|\n"
    return before + START + head + "".join(listed.row() for listed in DIFFERENCES) + END + after


def main(arguments: list[str]) -> int:
    made = page()
    if made == PAGE.read_text(encoding="utf-8"):
        return 0
    if arguments == ["--check"]:
        print(f"{PAGE.name} is stale: run python tests/marquez/listing.py")
        return 1
    PAGE.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
