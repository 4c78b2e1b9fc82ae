"""P(live): votes that are bounded, a verdict only where they suffice, MiniFASNet without PyTorch."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from shared.schemas import CheckStatus
from shared.vitals import Reason
from workers.face import FaceTrack
from workers.mesh import FaceFinder
from workers.models import ModelNotInstalled, Network, model_file, open_network
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.fasnet import graph_of
from workers.models.manifest import MODELS
from workers.portraits import Portrait
from workers.vision.liveness import FASNET, check_liveness, edge_vote, live_by_texture, pulse_vote

DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def fasnet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Network]:
    folder = tmp_path_factory.mktemp("models")
    for entry in MODELS:
        if entry.name in FASNET:
            own = DATA / "models" / entry.file
            if not own.is_file():
                pytest.skip("development data (../shared/data/models) is not here")
            (folder / entry.file).parent.mkdir(exist_ok=True)
            (folder / entry.file).symlink_to(own)
    return {name: open_network(model_file(name, folder), 1) for name in FASNET}


def track(beats: bool, *portraits: Portrait, seconds: float = 10.0) -> FaceTrack:
    """Three regions that pulsate in step, or noise."""
    times_s = np.arange(round(30 * seconds)) / 30
    rng = np.random.default_rng(3)
    regions = 0.4 + 0.001 * rng.normal(size=(len(times_s), 4, 3))
    if beats:
        wave = np.sin(2 * np.pi * 1.2 * times_s)
        regions -= 0.006 * wave[:, None, None] * np.array([0.33, 0.77, 0.53])
    return FaceTrack(
        times_s=times_s,
        landmarks=np.zeros((len(times_s), 478, 2), np.float32),
        regions=regions.astype(np.float32),
        background=np.full((len(times_s), 3), 0.3, np.float32),
        crops=np.zeros((len(times_s), 72, 72, 3), np.uint8),
        faces=np.ones(len(times_s), np.int8),
        portraits=portraits,
        checks={},
        size=(640, 480),
    )


def portrait(rgb: NDArray[np.uint8]) -> Portrait:
    landmarks = np.zeros((478, 2), np.float32)
    height, width = rgb.shape[:2]
    landmarks[:] = (width / 2, height / 2)
    landmarks[234], landmarks[454] = (0.35 * width, 0.5 * height), (0.65 * width, 0.5 * height)
    landmarks[10], landmarks[152] = (0.5 * width, 0.3 * height), (0.5 * width, 0.7 * height)
    return Portrait(0.0, rgb, landmarks, 1.0, 1.0, 1.0)


def room() -> NDArray[np.uint8]:
    return np.full((300, 300, 3), 120, np.uint8)


def framed() -> NDArray[np.uint8]:
    return np.asarray(cv2.rectangle(room(), (50, 20), (250, 280), (240, 240, 240), 6), np.uint8)


def test_a_pulse_that_regions_share_speaks_for_life_and_its_absence_a_little_against_it() -> None:
    with_pulse, without = pulse_vote(track(True)), pulse_vote(track(False))
    assert with_pulse is not None
    assert without is not None
    assert with_pulse.log_odds == 1.5
    assert -1.5 <= without.log_odds < 0
    assert pulse_vote(track(True, seconds=2.0)) is None


def test_edges_on_both_sides_speak_against_it() -> None:
    assert edge_vote([portrait(room())]) is None
    one_side = np.asarray(cv2.line(room(), (40, 10), (40, 290), (250, 250, 250), 5), np.uint8)
    assert edge_vote([portrait(one_side)]) is None
    vote = edge_vote([portrait(framed())])
    assert vote is not None
    assert vote.log_odds < -2


def test_a_pulse_alone_is_never_called_alive_nor_its_absence_alone_a_picture() -> None:
    for beats in (True, False):
        check = check_liveness(track(beats, portrait(room())), {})
        assert check.status is CheckStatus.UNKNOWN
        assert check.score is not None
        assert 0.1 < check.score < 0.9
        assert "Not sure" in (check.detail or "")
        assert "fasnet" in (check.detail or "")


def test_a_frame_around_a_face_without_a_pulse_is_a_picture() -> None:
    check = check_liveness(track(False, portrait(framed())), {})
    assert (check.status, check.reason) == (CheckStatus.FAIL, Reason.NOT_LIVE)
    assert "edges" in (check.detail or "")


def test_too_short_a_clip_says_nothing() -> None:
    check = check_liveness(track(True, seconds=2.0), {})
    assert (check.status, check.score) == (CheckStatus.UNKNOWN, None)


def test_minifasnet_tells_its_own_samples_apart(fasnet: dict[str, Network]) -> None:
    finder = FaceFinder()
    live = {}
    for name in ("image_T1", "image_F1", "image_F2"):
        path = DATA / "spoof" / f"{name}.jpg"
        if not path.is_file():
            pytest.skip("development data (../shared/data/spoof) is not here")
        picture = cv2.imread(str(path))
        assert picture is not None
        rgb = np.ascontiguousarray(np.asarray(picture, np.uint8)[..., ::-1])
        box = max(finder.faces(rgb), key=lambda one: one.height)
        live[name] = live_by_texture(rgb, (box.left, box.top, box.right - box.left, box.height), fasnet)
    finder.close()
    assert live["image_T1"] > 0.9
    assert max(live["image_F1"], live["image_F2"]) < 0.5


def test_with_its_weights_the_texture_decides(fasnet: dict[str, Network]) -> None:
    blank = check_liveness(track(False, portrait(room())), fasnet)
    assert blank.status is not CheckStatus.PASS
    assert "texture" in (blank.detail or "")


def test_what_is_no_minifasnet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointUnreadable):
        graph_of(tmp_path / "w.pth")
    with pytest.raises(ModelNotInstalled, match=r"models fetch fasnet\.v2"):
        model_file("fasnet.v2", tmp_path)


def test_without_a_face_nothing_is_said() -> None:
    lost = track(True)
    gone = replace(lost, regions=np.full_like(lost.regions, np.nan), faces=np.zeros_like(lost.faces))
    assert check_liveness(gone, {}).status is CheckStatus.UNKNOWN
