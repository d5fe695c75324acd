"""One scene, one file: exact, tagged, the same bytes every time, and what the reference renderer draws."""

from __future__ import annotations

import itertools
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from include.artifacts import media
from include.artifacts.digests import sha256_file
from include.video import quality
from include.video.compose import reference, scenes
from include.video.compose.timeline import timeline
from include.video.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path


def frames_in(path: Path) -> int:
    log = media.run(
        ["-v", "info", "-nostats", *media.reading(path), "-vf", "showinfo=checksum=0", "-f", "null", "-"]
    ).log
    return log.count(" pts_time:")


def frames(path: Path, numbers: list[int], size: tuple[int, int] = (270, 480)) -> dict[int, Any]:
    return quality._frames(path, numbers, *size)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_a_scene_has_the_plans_frames_and_says_bt709(
    plan: Plan, rendered: dict[int, Path], number: int
) -> None:
    found = media.probe(rendered[number])
    assert frames_in(rendered[number]) == plan.frames_of(number)[1]
    assert (found.video_codec, found.width, found.height, found.fps) == ("h264", 270, 480, 30.0)
    assert found.pixel_format == "yuv420p"
    assert found.colour == ("tv", "bt709", "bt709", "bt709")
    assert found.audio_codec is None
    media.decode_check(rendered[number])


def test_nothing_of_the_machine_or_the_clock_is_in_the_file(rendered: dict[int, Path]) -> None:
    data = rendered[1].read_bytes()
    assert b"Lavf" not in data
    assert b"/tmp" not in data
    assert data[data.index(b"mvhd") + 8 : data.index(b"mvhd") + 16] == bytes(
        8
    )  # creation and modification time


def test_the_same_scene_is_the_same_bytes_while_the_machine_is_busy(
    plan: Plan, words: list[dict[str, Any]], rendered: dict[int, Path], tmp_path: Path
) -> None:
    loads = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        scenes.render(plan, 4, words, tmp_path / "again.mp4", scale=0.25)
    finally:
        for load in loads:
            load.kill()
            load.wait()
    assert sha256_file(tmp_path / "again.mp4") == sha256_file(rendered[4])


def test_an_edit_of_one_scene_changes_that_scene_only(
    plan: Plan, words: list[dict[str, Any]], tmp_path: Path
) -> None:
    document = plan.model_dump(mode="json")
    document["scenes"][3]["visual"]["data"]["lines"][0] = "real parents"
    edited = Plan.model_validate(document)
    changed = [
        scene.number
        for scene in plan.scenes
        if scenes.recipe(plan, scene.number, words) != scenes.recipe(edited, scene.number, words)
    ]
    assert changed == [4]


def test_a_recipe_names_everything_that_decides_bytes(plan: Plan, words: list[dict[str, Any]]) -> None:
    recipe = scenes.recipe(plan, 2, words)
    assert recipe["encoder"]["ffmpeg"] == media.build_digest()
    assert {"NotoSansCJK-Bold.ttc", "NotoColorEmoji.ttf", "InterDisplay-ExtraBold.otf"} <= set(
        recipe["fonts"]
    )
    other_seed = plan.model_copy(update={"seed": plan.seed + 1})
    assert scenes.recipe(other_seed, 2, words) != recipe


@pytest.mark.parametrize("number", [1, 3, 5])
def test_the_production_renderer_agrees_with_the_reference(
    plan: Plan, words: list[dict[str, Any]], tmp_path: Path, number: int
) -> None:
    """Two compositors, one timeline: mean difference below 1 %, at the start, while overlays slide, and at the end."""
    path = tmp_path / "scene.mp4"
    scenes.render(plan, number, words, path, scale=0.25, burn=False)
    count = plan.frames_of(number)[1]
    chosen = [0, 6, 10, count // 2, count - 2]
    found, clip = frames(path, chosen), reference.scene_clip(plan, number, words, scale=0.25)
    for frame in chosen:
        wanted = clip.get_frame(frame / plan.fps).astype(int)
        difference = np.abs(wanted - found[frame].astype(int))
        assert difference.mean() < 2.55, frame
        assert similarity(wanted, found[frame]) > 0.97, frame


def similarity(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Return the mean structural similarity of two pictures over blocks of 8 by 8. Source: Wang et al. 2004."""
    blocks = []
    for picture in (one, other):
        grey = picture.astype(float) @ [0.2126, 0.7152, 0.0722]
        height, width = grey.shape[0] // 8 * 8, grey.shape[1] // 8 * 8
        blocks.append(
            grey[:height, :width].reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 64)
        )
    a, b = blocks
    mean_a, mean_b = a.mean(1), b.mean(1)
    covariance = ((a - mean_a[:, None]) * (b - mean_b[:, None])).mean(1)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return float((values / ((mean_a**2 + mean_b**2 + c1) * (a.var(1) + b.var(1) + c2))).mean())


def test_a_reference_of_another_scene_is_told_apart(
    plan: Plan, words: list[dict[str, Any]], rendered: dict[int, Path]
) -> None:
    """The comparison above can fail."""
    other = reference.scene_clip(plan, 2, words, scale=0.25).get_frame(1.5).astype(int)
    assert similarity(other, frames(rendered[1], [45])[45]) < 0.9


def test_an_overlay_slides_up_and_fades_in_and_out(
    plan: Plan, words: list[dict[str, Any]], tmp_path: Path
) -> None:
    """What the overlay adds to the picture is measured: its middle row, and how strong it is."""
    document = plan.model_dump(mode="json")
    document["scenes"][4]["overlays"] = []
    tracks = timeline(plan, words, scale=0.25).scene(5)
    overlay = tracks.overlays[0]
    scenes.render(plan, 5, words, tmp_path / "with.mp4", scale=0.25, burn=False)
    scenes.render(Plan.model_validate(document), 5, words, tmp_path / "without.mp4", scale=0.25, burn=False)
    early, middle, late, after = overlay.first + 3, 30, overlay.end - 2, overlay.end
    chosen = [0, early, middle, late, after]
    one, other = (frames(tmp_path / name, chosen) for name in ("with.mp4", "without.mp4"))

    def added(number: int) -> tuple[float, float]:
        area = slice(overlay.box.y - 4, overlay.box.bottom)
        change = (
            np.abs(one[number][area].astype(int) - other[number][area].astype(int))
            .sum(axis=(1, 2))
            .astype(float)
        )
        change[change < change.max() * 0.05] = 0
        return float(change.sum()), float((change * np.arange(change.size)).sum() / max(change.sum(), 1))

    strength = {number: added(number)[0] for number in chosen}
    assert strength[0] < 0.1 * strength[middle]
    assert 0.1 * strength[middle] < strength[early] < 0.75 * strength[middle]
    assert strength[late] < 0.75 * strength[middle]
    assert strength[after] < 0.1 * strength[middle]
    assert (
        4 < added(early)[1] - added(middle)[1] < 12
    )  # 22.5 px below at first, 7.7 after three of ten frames


def test_captions_are_burned_into_their_band_only(
    plan: Plan, words: list[dict[str, Any]], rendered: dict[int, Path], tmp_path: Path
) -> None:
    scenes.render(plan, 2, words, tmp_path / "bare.mp4", scale=0.25, burn=False)
    band = timeline(plan, words, scale=0.25).areas.captions
    for frame in (20, 60):
        bare, said = (
            frames(path, [frame])[frame].astype(int) for path in (tmp_path / "bare.mp4", rendered[2])
        )
        rows, columns = np.nonzero(np.abs(bare - said).max(axis=2) > 60)
        assert rows.size > 100
        assert band.y <= rows.min()
        assert rows.max() < band.bottom
        assert band.x <= columns.min()
        assert columns.max() < band.right


def test_frames_differ_all_through_a_scene(rendered: dict[int, Path]) -> None:
    for path in rendered.values():
        shown = frames(path, [5, 20, 35, 50])
        pictures = [shown[number].astype(int) for number in sorted(shown)]
        assert all(np.abs(a - b).mean() > 0.2 for a, b in itertools.pairwise(pictures))


HOSTILE = "'];[v]drawtext=text=x[out];movie=/etc/passwd,{\\b}%{pts}:\\,"


def test_text_of_a_plan_never_reaches_the_filter_graph(
    plan: Plan, words: list[dict[str, Any]], tmp_path: Path
) -> None:
    document = plan.model_dump(mode="json")
    document["scenes"][4]["overlays"][0]["text"] = HOSTILE
    document["scenes"][4]["visual"]["data"]["text"] = HOSTILE
    hostile = Plan.model_validate(document)
    spoken = [{**word, "word": "{\\fs400}';[x]"} if word["sentence"] == "s05" else word for word in words]
    assert scenes.graph(scenes.staged(hostile, 5, spoken, scale=0.25), True).count("drawtext") == 0
    scenes.render(hostile, 5, spoken, tmp_path / "hostile.mp4", scale=0.25)
    assert frames_in(tmp_path / "hostile.mp4") == plan.frames_of(5)[1]


@pytest.mark.parametrize("shape", [(1920, 1080), (1080, 1080), (720, 1280), (1280, 720)])
def test_other_frames_are_rendered_alike(
    plan: Plan, words: list[dict[str, Any]], shape: tuple[int, int], tmp_path: Path
) -> None:
    document = {**plan.model_dump(mode="json"), "width": shape[0], "height": shape[1]}
    other = Plan.model_validate(document)
    scenes.render(other, 5, words, tmp_path / "scene.mp4", scale=0.25)
    found = media.probe(tmp_path / "scene.mp4")
    assert (found.width, found.height) == (shape[0] // 4 // 2 * 2, shape[1] // 4 // 2 * 2)
    staged = scenes.staged(other, 5, words, scale=0.25)
    assert staged.line.areas.text.holds(staged.picture.texts)
