"""What a table shows of long and of hostile cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from include.cli.tables import print_table

if TYPE_CHECKING:
    import pytest


def test_nothing_is_cut_however_narrow_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    cells = ("video", "a" * 70, "f" * 64, "render", "0" * 36)
    print_table(("kind", "file", "sha256", "made by", "run"), [cells, ("x", "y", "z", "", "")])
    header, row, _ = capsys.readouterr().out.splitlines()
    assert row.split() == list(cells)
    assert header.split() == ["kind", "file", "sha256", "made", "by", "run"]


def test_text_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("theme", "state"), [("[red]sale[/red] [link=x]", Text("well", "bold red"))])
    assert capsys.readouterr().out.splitlines()[1].split() == ["[red]sale[/red]", "[link=x]", "well"]
