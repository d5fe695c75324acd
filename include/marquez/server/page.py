"""The API's page: its OpenAPI document as plain HTML, without script and without anything from elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.marquez.server.openlineage import Json

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;"
    "border-bottom:1px solid #ccc}code{font-family:ui-monospace,monospace}"
)


def api_page(document: Json) -> str:
    """Return the HTML of an OpenAPI document: one table of routes per tag."""
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f"<style>{STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info.get('description', ''))} The same as data: "
        '<a href="/api/v1/openapi.json">openapi.json</a>.</p>' + "".join(_sections(document)) + "</html>"
    )


def _sections(document: Json) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            asked = ", ".join(
                f'<code title="{escape(parameter.get("description", ""))}">{escape(parameter["name"])}</code>'
                for parameter in route.get("parameters", ())
                if parameter["in"] == "query"
            )
            said = escape(route.get("description") or route.get("summary", ""))
            row = f"<tr><td><code>{method.upper()} {escape(path)}</code><td>{asked}<td>{said}"
            by_tag.setdefault((route.get("tags") or ["other"])[0], []).append(row)
    for tag, rows in by_tag.items():
        yield f"<h2>{escape(tag)}</h2><table><tr><th>route<th>parameters<th>what it does{''.join(rows)}</table>"
