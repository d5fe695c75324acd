"""Assembly copies: the video's packets are the scenes' packets, its sound as long as its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from include.artifacts import media
from include.artifacts.digests import sha256_file
from include.errors import InvalidInput
from include.video import quality
from include.video.compose import assemble, mix, music

if TYPE_CHECKING:
    from pathlib import Path

    from include.video.plan import Plan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sound(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    music.write(plan.music, plan.frames / plan.fps, folder / "music.wav")
    mix.mix(folder / "music.wav", None, folder / "sound.m4a", duration_s=plan.frames / plan.fps)
    return folder / "sound.m4a"


@pytest.fixture(scope="module")
def video(rendered: dict[int, Path], sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    assemble.assemble([rendered[number] for number in sorted(rendered)], sound, path)
    return path


def pictures_in(path: Path) -> list[str]:
    """Return a checksum per decoded frame."""
    said = media.run(
        ["-v", "error", *media.reading(path), "-map", "0:v:0", "-f", "framemd5", "-"]
    ).stdout.decode()
    return [line.rsplit(",", 1)[1].strip() for line in said.splitlines() if not line.startswith("#")]


def test_the_video_shows_exactly_the_frames_of_its_scenes(
    video: Path, rendered: dict[int, Path], plan: Plan
) -> None:
    parts = [checksum for number in sorted(rendered) for checksum in pictures_in(rendered[number])]
    assert len(parts) == plan.frames
    assert pictures_in(video) == parts


def test_the_video_is_whole_and_its_sound_as_long_as_its_picture(video: Path, plan: Plan) -> None:
    media.decode_check(video)
    scan = quality._scan(video)
    assert scan.frames == plan.frames
    assert abs(scan.samples / 48_000 - plan.frames / plan.fps) < 0.03
    steps = np.diff(scan.times)
    assert np.allclose(steps, 1 / plan.fps, atol=0.001)


def test_assembling_again_gives_the_same_bytes(
    video: Path, rendered: dict[int, Path], sound: Path, tmp_path: Path
) -> None:
    assemble.assemble([rendered[number] for number in sorted(rendered)], sound, tmp_path / "again.mp4")
    assert sha256_file(tmp_path / "again.mp4") == sha256_file(video)


def test_a_thumbnail_is_the_frame_shown_at_its_time(video: Path, tmp_path: Path) -> None:
    assemble.thumbnail(video, tmp_path / "t.png", at_s=4.0)
    shown: Any = quality._frames(video, [120], 270, 480)[120]
    found = np.asarray(Image.open(tmp_path / "t.png"))
    assert found.shape == (480, 270, 3)
    assert np.array_equal(found, shown)


def test_a_thumbnail_after_the_end_is_refused(video: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="99 s"):
        assemble.thumbnail(video, tmp_path / "t.png", at_s=99)


def test_a_video_without_scenes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no scene"):
        assemble.assemble([], None, tmp_path / "v.mp4")
