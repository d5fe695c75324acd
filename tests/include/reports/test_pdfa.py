"""PDF/A-3u of both reports, by veraPDF where it is at hand.

THROUGHLINE_VERAPDF names a folder with veraPDF's library (Maven: org.verapdf:validation-model and what it depends on);
Java 11 or newer then judges the files. Without it only the structure that PDF/A asks for is looked at.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject, StreamObject

from include.reports import dossier, lead_audit

JUDGE = """
import java.io.FileInputStream;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.flavours.PDFAFlavour;
import org.verapdf.pdfa.results.TestAssertion;

class Judge {
    public static void main(String[] names) throws Exception {
        VeraGreenfieldFoundryProvider.initialise();
        var flavour = PDFAFlavour.PDFA_3_U;
        for (var name : names) {
            try (var parser = Foundries.defaultInstance().createParser(new FileInputStream(name), flavour)) {
                var found = Foundries.defaultInstance().createValidator(flavour, false).validate(parser);
                System.out.println((found.isCompliant() ? "compliant " : "broken ") + found.getTotalAssertions());
                for (var rule : found.getTestAssertions()) {
                    if (rule.getStatus() == TestAssertion.Status.FAILED) {
                        System.out.println(rule.getRuleId().getClause() + " " + rule.getMessage());
                    }
                }
            }
        }
    }
}
"""


@pytest.fixture
def files(
    document: dict[str, Any], dossier_document: dict[str, Any], pictures: dict[str, bytes]
) -> list[bytes]:
    """One PDF of each template, with other scripts and a bitmap emoji in it."""
    spoken = {**document, "lead": {**document["lead"], "company": "Candy 🍬 日本語 עברית"}}
    return [lead_audit.make(spoken).pdf, dossier.make(dossier_document, pictures).pdf]


def test_the_structure_that_pdf_a_asks_for(files: list[bytes]) -> None:
    for content in files:
        reader = PdfReader(BytesIO(content))
        root = reader.trailer["/Root"]
        assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
        assert root["/MarkInfo"]["/Marked"]
        assert root["/Lang"] == "en"
        assert len(reader.trailer["/ID"]) == 2
        objects = [reader.get_object(number) for number in range(1, int(reader.trailer["/Size"]))]
        fonts = [
            item for item in objects if isinstance(item, DictionaryObject) and item.get("/Type") == "/Font"
        ]
        assert all("/ToUnicode" in font for font in fonts if font["/Subtype"] in ("/Type0", "/Type3"))
        images = [
            item for item in objects if isinstance(item, StreamObject) and item.get("/Subtype") == "/Image"
        ]
        assert images
        assert {str(image.get("/Interpolate", "False")) for image in images} == {"False"}
        assert not any(
            "/JavaScript" in item or "/JS" in item for item in objects if isinstance(item, DictionaryObject)
        )


@pytest.mark.skipif(
    not os.environ.get("THROUGHLINE_VERAPDF"),
    reason="THROUGHLINE_VERAPDF names no folder with veraPDF's library",
)
def test_verapdf_finds_nothing(files: list[bytes], tmp_path: Path) -> None:
    java = shutil.which("java")
    assert java is not None
    judge = tmp_path / "Judge.java"
    judge.write_text(JUDGE)
    paths = []
    for number, content in enumerate(files):
        paths.append(tmp_path / f"{number}.pdf")
        paths[-1].write_bytes(content)
    library = str(Path(os.environ["THROUGHLINE_VERAPDF"]) / "*")
    done = subprocess.run(
        [java, "-cp", library, str(judge), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["compliant"] * len(files), done.stdout
    assert all(int(line.split()[1]) > 10_000 for line in lines)
