"""P(live): votes that are bounded, a verdict only where they suffice, MiniFASNet without PyTorch."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.calibrate.liveness import ALONE, MOST, fit
from lab.impostors import Trial
from lab.simulate import ClipSpec, simulate
from shared.schemas import CheckStatus
from shared.vitals import Reason
from workers.face.eye_patches import EMPTY_EYES, PATCH, Eyes
from workers.face.mesh import FaceFinder
from workers.face.portraits import Portrait
from workers.face.thumbnails import EMPTY_VIEWS
from workers.face.tracker import FaceTrack, FaceTracker
from workers.liveness.cues import Cues
from workers.liveness.cues.blinks import blinks
from workers.liveness.cues.extraction import cues_of, pulse
from workers.liveness.cues.screen import band, framed
from workers.liveness.cues.texture import FASNET, live_by_texture, texture
from workers.liveness.liveness_check import LivenessThresholds, check_liveness, fusions, verdict
from workers.media.clip import open_clip
from workers.models.build import ModelNotInstalled, model_file
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.fasnet import graph_of
from workers.models.manifest import MODELS
from workers.models.session import Network, open_network

DATA = Path(__file__).parents[4] / "shared" / "data"
LIMITS = LivenessThresholds()
UNTOLD = Cues(pulse=None, blinks=None, stirs=None, together=None, band=None, framed=None, texture=None)
PERSON = Cues(pulse=5.0, blinks=3, stirs=4.0, together=-1.5, band=9.0, framed=0.0, texture=5.0)
PICTURE = Cues(pulse=-4.0, blinks=0, stirs=1.0, together=None, band=9.0, framed=0.7, texture=-5.0)


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


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    return FaceTracker()


def filmed(tracker: FaceTracker, folder: Path, kind: str, seed: int) -> FaceTrack:
    path = folder / f"{kind}.mp4"
    simulate(path, ClipSpec(kind=kind, seed=seed, duration_s=6.0, fps=20.0, blink_rate=30.0))
    with open_clip(path) as clip:
        return tracker.track(clip.frames())


@pytest.fixture(scope="module")
def alive(tracker: FaceTracker, tmp_path_factory: pytest.TempPathFactory) -> FaceTrack:
    return filmed(tracker, tmp_path_factory.mktemp("alive"), "live", 3)


@pytest.fixture(scope="module")
def photograph(tracker: FaceTracker, tmp_path_factory: pytest.TempPathFactory) -> FaceTrack:
    return filmed(tracker, tmp_path_factory.mktemp("still"), "still", 3)


@pytest.fixture(scope="module")
def screen(tracker: FaceTracker, tmp_path_factory: pytest.TempPathFactory) -> FaceTrack:
    return filmed(tracker, tmp_path_factory.mktemp("screen"), "shown", 3)


def portrait(rgb: NDArray[np.uint8]) -> Portrait:
    landmarks = np.zeros((478, 2), np.float32)
    height, width = rgb.shape[:2]
    landmarks[:] = (width / 2, height / 2)
    landmarks[234], landmarks[454] = (0.35 * width, 0.5 * height), (0.65 * width, 0.5 * height)
    landmarks[10], landmarks[152] = (0.5 * width, 0.3 * height), (0.5 * width, 0.7 * height)
    return Portrait(0.0, rgb, landmarks, 1.0, 1.0, 1.0)


def room() -> NDArray[np.uint8]:
    return np.full((300, 300, 3), 120, np.uint8)


def test_a_person_blinks_moves_and_has_a_pulse(alive: FaceTrack) -> None:
    cues = cues_of(alive, {})
    assert cues.blinks is not None
    assert cues.blinks >= 1
    assert cues.stirs is not None
    assert cues.stirs > 1.6
    assert cues.pulse is not None
    assert cues.band is not None
    assert cues.band < 20
    assert cues.texture is None
    assert check_liveness(alive, {}).status is CheckStatus.UNKNOWN


def test_a_photograph_on_a_stand_is_no_person(photograph: FaceTrack) -> None:
    cues = cues_of(photograph, {})
    assert cues.blinks == 0
    assert cues.stirs is not None
    assert cues.stirs < 1.6
    check = check_liveness(photograph, {})
    assert (check.status, check.reason) == (CheckStatus.FAIL, Reason.NOT_LIVE)
    assert "never moves" in (check.detail or "")
    assert check.votes is not None
    assert check.votes["stillness"] < -1


def test_a_flicker_runs_over_a_screen(screen: FaceTrack, alive: FaceTrack) -> None:
    shown, seen = band(screen.times_s, screen.crops), band(alive.times_s, alive.crops)
    assert shown is not None
    assert seen is not None
    assert shown > seen + 5


def test_a_frozen_stream_and_a_wall_have_no_flicker(alive: FaceTrack) -> None:
    frozen = np.repeat(alive.crops[:1], len(alive.crops), axis=0)
    assert band(alive.times_s, frozen) == 0
    nobody = replace(
        alive,
        faces=np.zeros_like(alive.faces),
        regions=np.full_like(alive.regions, np.nan),
        crops=np.zeros_like(alive.crops),
        portraits=(),
        eyes=EMPTY_EYES,
        views=EMPTY_VIEWS,
    )
    assert cues_of(nobody, {}) == UNTOLD
    assert check_liveness(nobody, {}).status is CheckStatus.UNKNOWN


def test_what_a_person_shows_passes_only_where_the_texture_was_judged() -> None:
    sure = verdict(PERSON, LIMITS)
    assert sure.status is CheckStatus.PASS
    assert sure.score is not None
    assert sure.score >= LIMITS.passes
    unsure = verdict(replace(PERSON, texture=None), LIMITS)
    assert unsure.status is CheckStatus.UNKNOWN
    assert "fasnet" in (unsure.detail or "")


def test_a_picture_fails_and_only_warns_where_it_may_not_decide() -> None:
    for cues in (PICTURE, replace(PICTURE, texture=None)):
        check = verdict(cues, LIMITS)
        assert (check.status, check.reason) == (CheckStatus.FAIL, Reason.NOT_LIVE)
    assert verdict(PICTURE, replace(LIMITS, decisive=False)).status is CheckStatus.WARN


@pytest.mark.parametrize("name", ["pulse", "blinks", "together", "stirs", "band", "framed"])
def test_no_cue_alone_decides(name: str) -> None:
    for cues in (PERSON, PICTURE):
        lone = replace(replace(UNTOLD, pulse=0.0), **{name: getattr(cues, name)})
        assert verdict(lone, LIMITS).status is CheckStatus.UNKNOWN


def test_nothing_votes_louder_than_it_may() -> None:
    for fusion in fusions().values():
        for cues in (PERSON, PICTURE):
            for vote in fusion.votes(cues):
                assert abs(vote.log_odds) <= MOST[vote.name]


def test_without_a_face_or_in_too_short_a_clip_nothing_is_said(alive: FaceTrack) -> None:
    assert verdict(UNTOLD, LIMITS).status is CheckStatus.UNKNOWN
    assert verdict(UNTOLD, LIMITS).score is None
    lost = replace(alive, regions=np.full_like(alive.regions, np.nan), faces=np.zeros_like(alive.faces))
    assert pulse(lost) is None


def test_blinks_are_counted_where_the_eyes_rest() -> None:
    rng = np.random.default_rng(0)
    times_s = np.arange(300) / 30
    still = rng.integers(0, 255, (2, *PATCH)).astype(np.uint8)
    patches = np.repeat(still[None], 300, axis=0)
    for start in (40, 120, 250):
        patches[start : start + 6] = 128 + rng.integers(-3, 3, (6, 2, *PATCH))
    assert blinks(Eyes(times_s, patches, np.zeros(300))) == 3
    speed = np.zeros(300)
    speed[115:130] = 3.0
    assert blinks(Eyes(times_s, patches, speed)) == 2
    assert blinks(Eyes(times_s, patches, np.full(300, 3.0))) is None
    assert blinks(Eyes(times_s[:60], patches[:60], np.zeros(60))) is None


def test_edges_on_both_sides_are_a_frame_on_one_side_a_door() -> None:
    assert framed(portrait(room())) == 0
    assert framed(portrait(np.asarray(cv2.line(room(), (40, 10), (40, 290), (250, 250, 250), 5), np.uint8))) == 0
    both = np.asarray(cv2.rectangle(room(), (50, 20), (250, 280), (240, 240, 240), 6), np.uint8)
    assert framed(portrait(both)) > 0.6


def test_the_fit_finds_what_tells_and_lets_no_cue_speak_the_wrong_way() -> None:
    rng = np.random.default_rng(1)
    trials = []
    for seed in range(80):
        live = seed % 2 == 0
        cues = replace(
            UNTOLD, pulse=float(rng.normal(2 if live else -2, 2)), blinks=int(rng.integers(0, 2) + (not live))
        )
        trials.append(Trial("live" if live else "still", seed, 1, cues))
    fusion = fit(trials, ALONE)
    assert fusion.weights["pulse"] > 0.3
    assert fusion.weights["blinks"] == pytest.approx(0, abs=1e-3)


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


def test_texture_is_judged_only_where_both_networks_are(fasnet: dict[str, Network]) -> None:
    assert texture([portrait(room())], fasnet) is not None
    assert texture([portrait(room())], {}) is None
    assert texture([], fasnet) is None


def test_what_is_no_minifasnet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointUnreadable):
        graph_of(tmp_path / "w.pth")
    with pytest.raises(ModelNotInstalled, match=r"models fetch fasnet\.v2"):
        model_file("fasnet.v2", tmp_path)
