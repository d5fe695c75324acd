"""The typesetter against hostile documents: nothing is fetched, nothing hangs, the same bytes come out."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from pypdf import PdfReader

from include.errors import ConfigurationError, InvalidInput, QualityGateFailed
from include.reports import render
from include.reports.render import Attachment, Limits, Typesetter, typeset
from tests.loopback import Answering, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

AT = datetime(2026, 11, 20, 6, 30, 15, tzinfo=UTC)
QUICK = Limits(seconds=2)


class Canary:
    """A real web server on loopback that counts who calls."""

    def __init__(self) -> None:
        self.url = ""
        self.hits: list[str] = []


@pytest.fixture
def canary() -> Iterator[Canary]:
    """A web server that nobody may call."""
    found = Canary()

    class Handler(Answering):
        def do_GET(self) -> None:
            found.hits.append(self.path)
            if self.path.startswith("/redirect"):
                self.answer(302, b"", {"Location": "/target"})
            else:
                self.answer(200, b"", {"Content-Type": "image/svg+xml"})

    with serving(Handler) as found.url:
        yield found


def page(body: str, head: str = "") -> str:
    return f"<!DOCTYPE html><html lang=en><head><title>t</title>{head}</head><body>{body}</body></html>"


OUTSIDE = {
    "img": "<img alt=x src='{url}/a.png'>",
    "redirect": "<img alt=x src='{url}/redirect'>",
    "stylesheet": "<link rel=stylesheet href='{url}/a.css'>",
    "import": "<style>@import '{url}/a.css';</style>",
    "font": "<style>@font-face {{ font-family: x; src: url({url}/a.ttf) }} p {{ font-family: x }}</style><p>x</p>",
    "background": "<p style='background: url({url}/a.png)'>x</p>",
    "object": "<object data='{url}/a.svg' type='image/svg+xml'>x</object>",
    "embed": "<embed src='{url}/a.svg' type='image/svg+xml'>",
    "svg image": "<svg width=9 height=9><title>x</title><image href='{url}/a.png' width=9 height=9 /></svg>",
    "svg use": "<svg width=9 height=9><title>x</title><use href='{url}/a.svg#b' /></svg>",
    "list marker": "<ul style='list-style-image: url({url}/a.png)'><li>x</ul>",
    "content": "<style>p::before {{ content: url({url}/a.png) }}</style><p>x</p>",
    "attachment": "<link rel=attachment href='{url}/a.txt'>",
    "data svg": "<img alt=x src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><image href='{url}/a.png' width='9' height='9'/></svg>\">",
    "base": "<base href='{url}/'><img alt=x src='a.png'>",
}


@pytest.mark.parametrize("what", OUTSIDE)
@pytest.mark.parametrize("scheme", ["http", "file"])
def test_nothing_outside_the_document_is_read(canary: Canary, what: str, scheme: str) -> None:
    url = canary.url if scheme == "http" else "file:///etc/passwd?"
    source = page(OUTSIDE[what].format(url=url))
    pdf, said = b"", ""
    try:
        pdf = typeset(source, captured_at=AT).pdf
    except InvalidInput as error:
        said = str(error)
    assert canary.hits == []
    if pdf:  # ignored is as good as refused, as long as nothing of it is inside
        reader = PdfReader(BytesIO(pdf))
        assert "root:" not in "".join(part.extract_text() for part in reader.pages)
        assert not reader.attachments
    else:
        assert "asks for something outside itself" in said


def test_the_canary_sings(canary: Canary) -> None:
    assert httpx.get(f"{canary.url}/a.png").status_code == 200
    assert canary.hits == ["/a.png"]


BOMBS = {
    "colspan": "<table><tr><td colspan=100000>x</td></tr></table>",
    "depth": "<div>" * 3000 + "x",
    "pages": "<p style='break-after: page'>x</p>" * 20_000,
    "rows": "<table>" + "<tr><td>x<td>y<td>z</tr>" * 20_000 + "</table>",
    "svg": "<svg width=9 height=9><title>x</title><defs><g id=a0><rect width=1 height=1 /></g>"
    + "".join(f"<g id=a{n}>" + f"<use href='#a{n - 1}'/>" * 10 + "</g>" for n in range(1, 8))
    + "</defs><use href='#a7'/></svg>",
    "data bomb": "<p style='width: 1e9px; height: 1e9px; background: red; border-radius: 1e9px'>x</p>"
    * 50_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_ends_with_a_reason_and_in_time(bomb: str) -> None:
    started = time.monotonic()
    with pytest.raises(
        QualityGateFailed,
        match=r"the report cannot be rendered: (it takes more than 2 s|its elements are nested too deeply)",
    ):
        typeset(page(BOMBS[bomb]), captured_at=AT, limits=QUICK)
    assert time.monotonic() - started < 8


def test_memory_is_bounded() -> None:
    with pytest.raises(QualityGateFailed, match=r"needs more than 64 MB|ended by signal"):
        typeset(page(f"<!--{'x' * 80_000_000}-->"), captured_at=AT, limits=Limits(memory_bytes=64 * 2**20))


def test_the_server_goes_on_after_a_bomb() -> None:
    typesetter = Typesetter()
    try:
        good = typeset(page("<p>fine</p>"), captured_at=AT, typesetter=typesetter)
        server = typesetter._process
        with pytest.raises(QualityGateFailed):
            typeset(page(BOMBS["depth"]), captured_at=AT, limits=QUICK, typesetter=typesetter)
        assert typeset(page("<p>fine</p>"), captured_at=AT, typesetter=typesetter) == good
        assert typesetter._process is server
    finally:
        typesetter.close()


def test_a_killed_server_is_replaced() -> None:
    typesetter = Typesetter()
    try:
        good = typeset(page("<p>fine</p>"), captured_at=AT, typesetter=typesetter)
        assert typesetter._process is not None
        typesetter._process.kill()
        typesetter._process.wait()
        with pytest.raises(QualityGateFailed, match="went away"):
            typeset(page("<p>fine</p>"), captured_at=AT, typesetter=typesetter)
        assert typeset(page("<p>fine</p>"), captured_at=AT, typesetter=typesetter) == good
    finally:
        typesetter.close()


def test_a_closed_typesetter_leaves_no_process() -> None:
    typesetter = Typesetter()
    typeset(page("<p>fine</p>"), captured_at=AT, typesetter=typesetter)
    server = typesetter._process
    assert server is not None
    typesetter.close()
    assert server.returncode == 0


def test_settings_do_not_reach_the_typesetter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THROUGHLINE_CANARY", "a secret of ours")
    typesetter = Typesetter()
    try:
        typesetter.recipe()
        assert typesetter._process is not None
        environment = Path(f"/proc/{typesetter._process.pid}/environ").read_bytes()
        assert b"CANARY" not in environment
        assert b"PYTHONHASHSEED=0" in environment
    finally:
        typesetter.close()


def test_two_servers_give_the_same_bytes() -> None:
    source = page("<h1>Title</h1><p>日本語 and 🍬 and ordinary words</p>" * 20)
    attachment = Attachment("lineage.json", '{"a": 1}', "what made this")
    found = set()
    for _ in range(2):
        typesetter = Typesetter()
        try:
            for _ in range(2):
                made = typeset(
                    source,
                    captured_at=AT,
                    attachments=(attachment,),
                    xmp={"job_id": "1"},
                    typesetter=typesetter,
                )
                found.add(made.sha256)
        finally:
            typesetter.close()
    assert len(found) == 1


def test_the_recipe_names_what_decides_the_bytes() -> None:
    recipe = render.TYPESETTER.recipe()
    assert recipe["weasyprint"] == "70.0"
    assert recipe["harfbuzz_subset"].startswith("libharfbuzz-subset.so.")
    assert all("sha256:" in font for font in recipe["fonts"].values())


def test_a_machine_without_the_libraries_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        render, "PASSED_ON", ()
    )  # no PATH, no HOME: fine for a server, but the program is another
    monkeypatch.setattr(render.sys, "executable", "/bin/false")
    with pytest.raises(ConfigurationError, match=r"apt-get install libpango-1\.0-0"):
        Typesetter().recipe()


def test_attachment_xmp_tags_and_time_are_in_the_file() -> None:
    made = typeset(
        page("<h1>Title</h1>", "<meta name=dcterms.created content=2026-11-20T06:30:15Z>"),
        captured_at=AT,
        attachments=(Attachment("lineage.json", '{"a": 1}', "what made this"),),
        xmp={"job_id": "the job & <more>"},
    )
    reader = PdfReader(BytesIO(made.pdf))
    root = reader.trailer["/Root"]
    assert reader.attachments["lineage.json"] == [b'{"a": 1}']
    assert len(root["/AF"]) == 1
    specification = root["/AF"][0].get_object()
    assert specification["/AFRelationship"] == "/Source"
    assert specification["/EF"]["/F"].get_object()["/Subtype"] == "/application/json"
    assert root["/MarkInfo"]["/Marked"]
    packet = root["/Metadata"].get_object().get_data().decode()
    assert packet.count("<rdf:RDF") == 1
    assert "<throughline:job_id>the job &amp; &lt;more&gt;</throughline:job_id>" in packet
    assert 'pdfaid:part="3"' in packet
    assert 'pdfaid:conformance="U"' in packet
    assert b"<throughline:job_id>the job" in made.pdf  # plain, for whoever greps
    assert reader.metadata is not None
    assert reader.metadata.creation_date == AT
    assert made.complaints == ()
