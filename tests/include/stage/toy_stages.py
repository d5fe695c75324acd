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


def _publish_json(work: Work, kind: str, name: str, value: object, key: str = "", **known: Any) -> None:
    work.publish(
        kind,
        key,
        lambda target: target.write_text(json.dumps(value)),
        suffix=".json",
        media_type="application/json",
        name=name,
        **known,
    )


def admit(work: Work) -> dict[str, Any]:
    path = Path(work.params["file"])
    source = work.admit("words", path, uri=path.name, media_type="text/plain")
    work.settle()
    CALLS.append("admit")
    words = path.read_text().split()
    trend = Trend(trend_id=None, platform="test", external_id="1", title="one")
    _publish_json(
        work,
        "trends",
        "words.json",
        words,
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
    _publish_json(work, "script", "script.json", {"text": text}, rows=[row])
    return {"text": text}


def fail(work: Work) -> dict[str, Any]:
    work.input("trends")
    work.settle()
    _publish_json(work, "script", "x.json", {})
    raise InvalidInput(work.params.get("says", "words.txt: column 'word' is missing"))


def skip(work: Work) -> dict[str, Any]:
    raise SkipStage("no input for 2020-01-01")


def first_letter(work: Work) -> dict[str, Any]:
    found = work.input("trends")
    letter = json.loads(found.path.read_text())[0][0]
    work.settle(inputs=(), letter=letter)
    CALLS.append("first_letter")
    _publish_json(work, "words", "letter.json", letter)
    return {}


def choose(work: Work) -> dict[str, Any]:
    """Choose the first words; the stage `spell` runs once per chosen one."""
    found = work.input("trends")
    chosen = json.loads(found.path.read_text())[: work.params["first"]]
    work.settle(chosen=chosen)
    _publish_json(work, "script", "chosen.json", chosen)
    return {"chosen": chosen}


def spell(work: Work) -> dict[str, Any]:
    work.input("script")
    work.settle()
    _publish_json(work, "scene", f"{work.key}.json", list(work.key), key=work.key)
    return {}
