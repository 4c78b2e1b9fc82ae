"""Each kind of clip shows what its name means."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lab.simulate import ClipSpec, simulate
from lab.simulate.cutout import NoFaceInPortrait
from lab.simulate.portrait import read_picture
from lab.simulate.scenes import KINDS
from tests.unit.simulate.colour import decoded, faces_in

SHORT = ClipSpec(duration_s=2.0, fps=10)


@pytest.mark.parametrize(
    ("kind", "faces"),
    [("still", 1), ("waved", 1), ("wall", 0), ("noise", 0), ("no_face", 0), ("two_faces", 2), ("covered", 1),
     ("half_covered", 1), ("screen", 1), ("flicker", 1), ("frozen", 1)],
)  # fmt: skip
def test_a_kind_shows_the_number_of_faces_in_its_truth(kind: str, faces: int, tmp_path: Path) -> None:
    truth = simulate(tmp_path / "clip.mp4", replace(SHORT, kind=kind))
    assert set(faces_in(decoded(tmp_path / "clip.mp4")[1], stride=7)) == {faces}
    assert truth.faces == faces


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"live", "too_short", "low_fps", "masked", "half_covered"}))
def test_negatives_have_no_rates(kind: str, tmp_path: Path) -> None:
    truth = simulate(tmp_path / "clip.webm", ClipSpec(kind=kind, width=160, height=120, duration_s=1.0, fps=5))
    assert not truth.alive
    assert truth.heart_rate is None
    assert truth.respiration_rate is None
    assert truth.beat_times_s == truth.breath_times_s == truth.bvp == ()


def test_a_frozen_stream_repeats_one_frame(tmp_path: Path) -> None:
    simulate(tmp_path / "clip.mp4", replace(SHORT, kind="frozen", bitrate_bps=20_000_000))
    _, frames = decoded(tmp_path / "clip.mp4")
    steps = [float(np.abs(a.astype(int) - b).mean()) for a, b in pairwise(frames)]
    assert min(steps[:3]) > 0.5
    assert max(steps[8:]) < 0.5


def test_a_face_that_leaves_is_absent_at_the_end(tmp_path: Path) -> None:
    simulate(tmp_path / "clip.mp4", replace(SHORT, kind="face_leaves", duration_s=5))
    found = faces_in(decoded(tmp_path / "clip.mp4")[1], stride=5)
    assert found[0] == 1
    assert found[-1] == 0


def test_the_kinds_too_short_and_low_fps_are_living(tmp_path: Path) -> None:
    tiny = ClipSpec(width=160, height=120)
    short = simulate(tmp_path / "a.mp4", replace(tiny, kind="too_short"))
    assert short.alive
    assert short.duration_s == pytest.approx(4)
    slow = simulate(tmp_path / "b.mp4", replace(tiny, kind="low_fps"))
    assert slow.alive
    assert slow.fps == pytest.approx(5)


def test_an_unknown_kind_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ghost"):
        simulate(tmp_path / "clip.mp4", replace(SHORT, kind="ghost"))


def test_a_clip_can_be_rendered_from_another_portrait(tmp_path: Path) -> None:
    # A tight crop: the simulator adds the shoulders that the picture lacks.
    face = np.ascontiguousarray(read_picture(None)[10:210, 120:330])
    simulate(tmp_path / "clip.mp4", replace(SHORT, portrait=face, duration_s=0.5))
    _, frames = decoded(tmp_path / "clip.mp4")
    assert faces_in(frames[:1]) == [1]
    wall, chest = frames[0][460, 4].astype(int), frames[0][470, 320].astype(int)
    assert np.abs(wall - chest).sum() > 60


def test_a_portrait_without_a_face_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoFaceInPortrait):
        simulate(tmp_path / "clip.mp4", replace(SHORT, portrait=np.full((200, 200, 3), 128, dtype=np.uint8)))
    with pytest.raises(ValueError, match="no picture"):
        simulate(tmp_path / "clip.mp4", replace(SHORT, portrait=tmp_path / "missing.jpg"))
