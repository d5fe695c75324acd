"""Stage bodies that the tests of the unit of work run; small, but real files go through the whole protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.errors import InvalidInput
from include.ledger.models import Script, Trend
from include.stage import SkipStage

if TYPE_CHECKING:
    from include.stage import Work

CALLS: list[str] = []


def admit(work: Work) -> dict[str, Any]:
    path = Path(work.params["file"])
    source = work.admit("words", path, uri=path.name, media_type="text/plain")
    work.settle()
    CALLS.append("admit")
    words = path.read_text().split()
    trend = Trend(trend_id=None, platform="test", external_id="1", title="one")
    work.publish(
        "trends",
        "",
        lambda target: target.write_text(json.dumps(words)),
        suffix=".json",
        media_type="application/json",
        name="words.json",
        facts={"rows": len(words), "schema": [{"name": "word", "type": "str"}]},
        rows=[trend],
        inputs=[source],
    )
    return {"words": len(words)}


def shout(work: Work) -> dict[str, Any]:
    found = work.input("trends")
    work.settle(loud=work.params.get("loud", True))
    CALLS.append("shout")
    text = " ".join(json.loads(found.path.read_text())).upper()
    row = Script(
        title=text, theme="t", provider="p", model="m", seed=0, target_s=1.0, narration=text, hashtags=[]
    )
    work.publish(
        "script",
        "",
        lambda target: target.write_text(json.dumps({"text": text})),
        suffix=".json",
        media_type="application/json",
        name="script.json",
        rows=[row],
    )
    return {"text": text}


def fail(work: Work) -> dict[str, Any]:
    work.input("trends")
    work.settle()
    work.publish(
        "script",
        "",
        lambda target: target.write_text("{}"),
        suffix=".json",
        media_type="application/json",
        name="x.json",
    )
    raise InvalidInput(work.params.get("says", "words.txt: column 'word' is missing"))


def skip(work: Work) -> dict[str, Any]:
    raise SkipStage("no input for 2020-01-01")


def first_letter(work: Work) -> dict[str, Any]:
    found = work.input("trends")
    letter = json.loads(found.path.read_text())[0][0]
    work.settle(inputs=(), letter=letter)
    CALLS.append("first_letter")
    work.publish(
        "words",
        "",
        lambda target: target.write_text(json.dumps(letter)),
        suffix=".json",
        media_type="application/json",
        name="letter.json",
    )
    return {}


def choose(work: Work) -> dict[str, Any]:
    """Choose the first words; the stage `spell` runs once per chosen one."""
    found = work.input("trends")
    chosen = json.loads(found.path.read_text())[: work.params["first"]]
    work.settle(chosen=chosen)
    work.publish(
        "script",
        "",
        lambda target: target.write_text(json.dumps(chosen)),
        suffix=".json",
        media_type="application/json",
        name="chosen.json",
    )
    return {"chosen": chosen}


def spell(work: Work) -> dict[str, Any]:
    work.input("script")
    work.settle()
    work.publish(
        "scene",
        work.key,
        lambda target: target.write_text(json.dumps(list(work.key))),
        suffix=".json",
        media_type="application/json",
        name=f"{work.key}.json",
    )
    return {}
