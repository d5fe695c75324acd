"""The panel inside Airflow's UI, as a person sees it: in Chromium, after the login, in light and dark."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.stack
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, stack: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A page after the login; anything on its console that is an error fails the test."""
    context = browser.new_context(
        viewport={"width": 1400, "height": 900},
        color_scheme=getattr(request, "param", "light"),
        base_url=stack.airflow_url,
        accept_downloads=True,
    )
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    wrong: list[str] = []
    # Airflow's own pages ask for things that are not there while a run is young: that is their own.
    page.on(
        "console",
        lambda message: (
            wrong.append(f"{message.text} {message.location['url']}")
            if message.type == "error" and "/lineage" in message.location["url"]
            else None
        ),
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto("/lineage/")  # anonymous: leads to the login and back
    page.fill("input[name=username]", stack.user)
    page.fill("input[name=password]", stack.password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/lineage/")
    wrong.clear()  # what Airflow's own login page says is its own
    yield page
    context.close()
    assert wrong == []


def picture(page: Any, folder: Path, name: str) -> None:
    """Keep a picture, for a person to look at."""
    page.screenshot(path=str(folder / f"{name}.png"), full_page=True)


def test_anonymous_sees_a_login_and_nothing_else(browser: Any, stack: Any, campaign: Any) -> None:
    context = browser.new_context(base_url=stack.airflow_url)
    page = context.new_page()
    for address in ("/lineage/", f"/lineage/jobs/{campaign.job_id}", "/lineage/graph?q=lake"):
        page.goto(address)
        page.wait_for_selector("input[name=password]", timeout=WAIT_MS)
        assert "/auth/login" in page.url
        assert str(campaign.job_id)[:8] not in page.inner_text("body")
    context.close()


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_job_opens_inside_airflow(page: Any, campaign: Any, tmp_path: Path) -> None:
    page.goto("/")
    page.get_by_role("link", name="Lineage").first.click()
    frame = page.frame_locator("iframe")
    frame.locator(f'a[title="{campaign.job_id}"]').click()
    frame.locator("#graph").wait_for()
    assert "completed" in frame.locator("h1").inner_text()
    page.wait_for_url(f"**/plugin/lineage/lineage/jobs/{campaign.job_id}")
    drawn = frame.locator("svg.lineage a[data-node]")
    rows = frame.locator("tr[data-row]")
    assert drawn.count() == rows.count() > 10
    video = frame.locator("video").first
    video.evaluate("video => video.readyState >= 1 || new Promise(done => video.onloadedmetadata = done)")
    assert 14 < video.evaluate("video => video.duration") < 22
    assert (
        frame.locator(".show img").first.evaluate("image => image.decode().then(() => image.naturalWidth)")
        > 0
    )
    picture(page, tmp_path, "job")


def test_a_dag_run_shows_its_job(page: Any, campaign: Any, tmp_path: Path) -> None:
    page.goto(f"/dags/campaign/runs/{quote(campaign.run_id, safe='')}")
    page.locator("a[href$='/plugin/lineage_run']").click()  # its tab; the navigation has a link of that name
    frame = page.frame_locator("iframe")
    frame.get_by_text(str(campaign.job_id)).first.wait_for()
    picture(page, tmp_path, "dag-run")


def test_a_link_to_airflow_moves_the_whole_page(page: Any, campaign: Any) -> None:
    page.goto("/plugin/lineage")
    frame = page.frame_locator("iframe")
    frame.locator(f'a[title="{campaign.job_id}"]').click()
    frame.locator("a[data-airflow]", has_text=campaign.run_id).first.click()
    page.wait_for_url(f"**/dags/campaign/runs/{quote(campaign.run_id, safe='')}*")


def test_the_graph_of_a_dataset_is_walked_with_the_keyboard(page: Any, campaign: Any, tmp_path: Path) -> None:
    page.goto("/lineage/graph?q=lake/gold/trends")
    page.locator(".results a", has_text="lake/gold/trends").first.click()
    page.locator("svg.lineage").wait_for()
    picture(page, tmp_path, "graph")
    shown = page.evaluate(
        "[...document.querySelectorAll('svg.lineage a[data-node]')].map(a => a.dataset.node)"
    )
    listed = page.evaluate("[...document.querySelectorAll('tr[data-row]')].map(row => row.dataset.row)")
    assert sorted(shown) == sorted(listed)
    assert any(name.startswith("job:") for name in shown)
    first = page.locator("svg.lineage a[data-node]").first
    first.focus()
    address = first.evaluate("link => link.href.baseVal")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{address}")


def test_a_download_has_the_bytes_of_its_digest(page: Any, campaign: Any) -> None:
    page.goto(f"/lineage/jobs/{campaign.job_id}")
    row = page.locator("#artifact-table tbody tr", has_text="dossier").last
    sha256 = row.locator("a.mono").get_attribute("title")
    with page.expect_download() as started:
        row.locator("a[href$='download=1']").click()
    with started.value.path().open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256


def test_the_dossier_leads_back_to_a_source_by_clicks_alone(page: Any, campaign: Any, tmp_path: Path) -> None:
    page.goto(f"/lineage/jobs/{campaign.job_id}")
    page.locator("#artifact-table tbody th a", has_text="dossier").last.click()
    page.locator("#inputs").wait_for()
    picture(page, tmp_path, "artifact")
    page.locator("#inputs li", has=page.locator("> .tag", has_text="source")).last.locator(
        "> a"
    ).first.click()
    page.get_by_text("these bytes came from outside").wait_for()
