"""The face finder beside MediaPipe 0.10.21, which the product used before: the same faces, the same meshes."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from lab.bench.face_mesh import compare_meshes, compare_tracks
from lab.bench.mediapipe_finder import INTERPRETER, MediaPipeFinder
from lab.bench.mesh_clips import Picture, farther, nearer, turned
from lab.simulate import ClipSpec, simulate
from workers.face.mesh import FaceFinder
from workers.face.tracker import FaceTracker
from workers.media.clip import Frame, open_clip

if not INTERPRETER.is_file():
    pytest.skip("MediaPipe's environment is missing: bash tools/oracle.sh", allow_module_level=True)

SPEC = ClipSpec(duration_s=6.0, fps=20, motion=1.5, seed=11)
#: Kind of the clip, and how its pictures are changed.
CLIPS: dict[str, tuple[str, Callable[[Picture], Picture]]] = {
    "live": ("live", lambda rgb: rgb),
    "two faces": ("two_faces", lambda rgb: rgb),
    "turned": ("live", turned(30)),
    "far": ("live", farther(0.6)),
    "near": ("live", nearer(1.6)),
    "masked": ("masked", lambda rgb: rgb),
    "leaving": ("face_leaves", lambda rgb: rgb),
    "without a face": ("no_face", lambda rgb: rgb),
}


@pytest.fixture(scope="module")
def theirs() -> Iterator[MediaPipeFinder]:
    with closing(MediaPipeFinder()) as finder:
        yield finder


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Frame]]:
    folder = tmp_path_factory.mktemp("clips")

    def frames(name: str) -> list[Frame]:
        kind, change = CLIPS[name]
        path = folder / f"{kind}.mp4"
        if not path.is_file():
            simulate(path, replace(SPEC, kind=kind))
        with open_clip(path) as clip:
            return [replace(frame, rgb=change(frame.rgb)) for frame in clip.frames()]

    return frames


@pytest.mark.parametrize("name", CLIPS)
def test_both_finders_give_the_same_meshes(
    name: str, rendered: Callable[[str], list[Frame]], theirs: MediaPipeFinder
) -> None:
    compared = compare_meshes(rendered(name), FaceFinder(), theirs)
    assert compared.lost == compared.gained == 0
    assert bool(len(compared.apart)) == (name != "without a face")
    if len(compared.apart):
        assert np.median(compared.apart) < 0.005
        assert np.abs(compared.skin.mean(axis=0)).max() < 0.001


@pytest.mark.parametrize("name", CLIPS)
def test_both_finders_detect_the_same_faces(
    name: str, rendered: Callable[[str], list[Frame]], theirs: MediaPipeFinder
) -> None:
    ours = FaceFinder()
    for frame in rendered(name)[::20]:
        for method in ("faces", "distant_faces"):
            found, expected = getattr(ours, method)(frame.rgb), getattr(theirs, method)(frame.rgb)
            assert len(found) == len(expected)
            for face, other in zip(found, expected, strict=True):
                assert face.score == pytest.approx(other.score, abs=0.01)
                assert face.roll == pytest.approx(other.roll, abs=0.5)
                assert face.centre == pytest.approx(other.centre, abs=1)
                assert face.height == pytest.approx(other.height, abs=1)


@pytest.mark.parametrize("name", ["live", "masked", "two faces"])
def test_both_finders_have_the_same_effects(
    name: str, rendered: Callable[[str], list[Frame]], theirs: MediaPipeFinder
) -> None:
    """Skin colour, number of faces, blinks and obstruction, as the tracker measures them."""
    trackers = [FaceTracker(finder=finder) for finder in (FaceFinder(), theirs)]
    effects = compare_tracks(rendered(name), trackers, None)
    assert effects.colour < 0.003
    assert effects.faces[0] == effects.faces[1]
    assert effects.covered == pytest.approx(effects.covered[::-1], abs=0.1)
    blinks = [count or 0 for count in effects.blinks]
    assert abs(blinks[0] - blinks[1]) <= 1
