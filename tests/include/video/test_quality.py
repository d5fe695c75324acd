"""The quality report passes a good video and names exactly what is wrong with a bad one."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from include.artifacts import media
from include.video import quality
from include.video.compose import assemble, mix, music, scenes
from include.video.plan import Plan
from tests.include.video.compose.conftest import showcase, spoken

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SCALE = 0.25
PLAN = showcase()
WORDS = spoken(PLAN)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Scene files by their key, and the sound."""
    folder = tmp_path_factory.mktemp("parts")
    found = {scene.key: folder / f"{scene.key}.mp4" for scene in PLAN.scenes}
    for scene in PLAN.scenes:
        scenes.render(PLAN, scene.number, WORDS, found[scene.key], scale=SCALE)
    music.write(PLAN.music, PLAN.target_s, folder / "music.wav")
    found["sound"] = folder / "sound.m4a"
    mix.mix(folder / "music.wav", None, found["sound"], duration_s=PLAN.target_s)
    return found


def joined(parts: dict[str, Path], path: Path, keys: list[str] | None = None) -> Path:
    assemble.assemble(
        [parts[key] for key in keys or [scene.key for scene in PLAN.scenes]], parts["sound"], path
    )
    return path


@pytest.fixture(scope="module")
def video(parts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return joined(parts, tmp_path_factory.mktemp("video") / "video.mp4")


def failed(path: Path, plan: Plan = PLAN, **options: Any) -> set[str]:
    report = quality.inspect(path, plan, WORDS, scale=SCALE, **options)
    assert report.verdict == ("fail" if report.reasons else "pass")
    return {check.name for check in report.checks if not check.passed}


def altered(video: Path, path: Path, *arguments: str) -> Path:
    """Encode a video again with something done to it."""
    media.run(["-v", "error", *media.reading(video), *arguments, *scenes.encoding(30), path])
    return path


def test_a_good_video_passes_every_check(video: Path) -> None:
    report = quality.inspect(video, PLAN, WORDS, scale=SCALE)
    assert report.reasons == []
    assert report.verdict == "pass"
    facts = report.as_json()["facts"]
    assert (facts["frames"], facts["width"], facts["height"], facts["fps"]) == (PLAN.frames, 270, 480, 30.0)
    assert facts["colour"] == ["tv", "bt709", "bt709", "bt709"]
    assert facts["integrated_lufs"] == pytest.approx(-14, abs=0.5)
    assert facts["true_peak_dbtp"] <= -1.5
    assert facts["audio_duration_s"] == pytest.approx(PLAN.target_s, abs=0.03)
    json.dumps(report.as_json(), allow_nan=False)


def test_a_black_beginning_is_found_with_its_place(video: Path, tmp_path: Path) -> None:
    path = altered(video, tmp_path / "v.mp4", "-vf", "drawbox=t=fill:color=black:enable='lt(n,15)'")
    report = quality.inspect(path, PLAN, WORDS, scale=SCALE)
    black = [stretch for stretch in report.stretches if stretch.kind == "black"]
    assert [(stretch.start_s, round(stretch.duration_s, 2)) for stretch in black] == [(0.0, 0.5)]


def test_a_frozen_stretch_and_extra_frames_are_found(video: Path, tmp_path: Path) -> None:
    path = altered(video, tmp_path / "v.mp4", "-vf", "loop=loop=50:size=1:start=40,setpts=N/30/TB")
    found = failed(path)
    assert {"frozen stretches", "frame count", "sound as long as picture"} <= found


def test_missing_frames_are_found(video: Path, tmp_path: Path) -> None:
    assert "frame count" in failed(altered(video, tmp_path / "v.mp4", "-frames:v", "440"))


def test_uneven_frame_times_are_found(video: Path, tmp_path: Path) -> None:
    path = altered(
        video, tmp_path / "v.mp4", "-vf", "setpts='PTS+if(gt(N,100),0.02/TB,0)'", "-fps_mode", "passthrough"
    )
    assert "even frame times" in failed(path)


def test_another_size_and_lost_tags_are_found(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    media.run(
        [
            *("-v", "error", *media.reading(video)),
            *("-vf", "scale=240:426,setparams=colorspace=unknown:color_primaries=unknown:color_trc=unknown"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "copy", path),
        ]
    )
    assert {"frame size", "colour tags"} <= failed(path)


def test_a_silent_sound_track_is_found(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    media.run(
        [
            *("-v", "error", *media.reading(video), "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"),
            *("-map", "0:v", "-map", "1:a", "-t", f"{PLAN.target_s}", "-c:v", "copy", "-c:a", "aac", path),
        ]
    )
    assert failed(path) == {"loudness", "silent stretches"}


def test_a_loud_sound_track_is_found(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    media.run(
        ["-v", "error", *media.reading(video), "-c:v", "copy", "-af", "volume=9dB", "-c:a", "aac", path]
    )
    assert {"loudness", "true peak"} <= failed(path)


def test_a_scene_shown_twice_is_found(parts: dict[str, Path], tmp_path: Path) -> None:
    twice = joined(parts, tmp_path / "v.mp4", ["01", "02", "03", "04", "04", "06"])
    assert "scenes differ" in failed(twice)


def test_captions_that_miss_words_are_found(video: Path) -> None:
    assert failed(video, captions="[Events]\n") == {"captions cover the words"}


def test_an_overlay_that_is_not_there_is_found(parts: dict[str, Path], tmp_path: Path) -> None:
    """The plan promises a text; the scene was rendered without it."""
    document = PLAN.model_dump(mode="json")
    document["scenes"][4]["overlays"] = []
    bare = {**parts, "05": tmp_path / "05.mp4"}
    scenes.render(Plan.model_validate(document), 5, WORDS, bare["05"], scale=SCALE)
    assert "contrast of text" in failed(joined(bare, tmp_path / "v.mp4"))


def test_a_character_that_no_font_has_is_found(video: Path) -> None:
    document = PLAN.model_dump(mode="json")
    document["scenes"][3]["visual"]["data"]["lines"][0] = "real\ue123 kids"
    assert failed(video, Plan.model_validate(document)) == {"characters without a glyph"}


def test_the_contact_sheet_has_a_tile_per_scene(video: Path, tmp_path: Path) -> None:
    quality.contact_sheet(video, PLAN, tmp_path / "sheet.png", scale=SCALE)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    wide, tall = 300, round(300 * 480 / 270)
    tiles = [
        sheet[
            24 + row * (tall + 70) : 24 + row * (tall + 70) + tall,
            24 + column * 324 : 24 + column * 324 + wide,
        ]
        for row in range(2)
        for column in range(4)
    ]
    assert all(tile.std() > 10 for tile in tiles[:6])
    assert all(np.abs(a - b).mean() > 2 for a, b in itertools.pairwise(tiles[:6]))
    assert all(np.ptp(tile, axis=(0, 1)).max() == 0 for tile in tiles[6:])


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    from include.errors import InvalidInput

    (tmp_path / "v.mp4").write_bytes(b"not a video")
    with pytest.raises(InvalidInput, match=r"ffmpeg failed"):
        quality.inspect(tmp_path / "v.mp4", PLAN, WORDS, scale=SCALE)
