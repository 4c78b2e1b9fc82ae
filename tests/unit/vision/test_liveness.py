"""Liveness: bounded votes, a verdict only where they suffice, MiniFASNet without PyTorch."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.calibrate.liveness_weights import MAX_LOG_ODDS, WITHOUT_TEXTURE, fit
from lab.data.liveness_clips import LivenessClip
from lab.simulate import ClipSpec, simulate
from shared.schemas import CheckStatus
from shared.vitals import Reason
from workers.face.box_crops import BOX_SCALES, crop_around
from workers.face.eye_patches import EMPTY_EYES, PATCH, Eyes
from workers.face.mesh import FaceFinder
from workers.face.portraits import Portrait
from workers.face.thumbnails import EMPTY_THUMBNAILS
from workers.face.tracker import FaceTrack, FaceTracker
from workers.liveness.cues import Cues
from workers.liveness.cues.blinks import count_blinks
from workers.liveness.cues.extraction import extract_cues, pulse_log_odds
from workers.liveness.cues.screen import measure_border_edges, measure_rolling_band
from workers.liveness.cues.texture import FASNET, live_probability, texture_log_odds
from workers.liveness.liveness_check import LivenessThresholds, check_liveness, load_fusions, verdict
from workers.media.clip import open_clip
from workers.models.build import ModelNotInstalled, model_file
from workers.models.checkpoint import CheckpointUnreadable
from workers.models.fasnet_network import graph_of
from workers.models.manifest import MODELS
from workers.models.session import Loaded, Network, Runner, open_network

DATA = Path(__file__).parents[4] / "shared" / "data"
THRESHOLDS = LivenessThresholds()
UNKNOWN_CUES = Cues(
    pulse=None,
    blinks=None,
    self_motion=None,
    background_moves_with_face=None,
    rolling_band=None,
    border_edges=None,
    texture=None,
)
PERSON = Cues(
    pulse=5.0,
    blinks=3,
    self_motion=4.0,
    background_moves_with_face=-1.5,
    rolling_band=9.0,
    border_edges=0.0,
    texture=5.0,
)
PICTURE = Cues(
    pulse=-4.0,
    blinks=0,
    self_motion=1.0,
    background_moves_with_face=None,
    rolling_band=9.0,
    border_edges=0.7,
    texture=-5.0,
)


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
    cues = extract_cues(alive, {})
    assert cues.blinks is not None
    assert cues.blinks >= 1
    assert cues.self_motion is not None
    assert cues.self_motion > 1.6
    assert cues.pulse is not None
    assert cues.rolling_band is not None
    assert cues.rolling_band < 20
    assert cues.texture is None
    assert check_liveness(alive, {}).status is CheckStatus.UNKNOWN


def test_a_photograph_on_a_stand_fails(photograph: FaceTrack) -> None:
    cues = extract_cues(photograph, {})
    assert cues.blinks == 0
    assert cues.self_motion is not None
    assert cues.self_motion < 1.6
    check = check_liveness(photograph, {})
    assert (check.status, check.reason) == (CheckStatus.FAIL, Reason.NOT_LIVE)
    assert "never moves" in (check.detail or "")
    assert check.votes is not None
    assert check.votes["stillness"] < -1


def test_a_screen_has_a_rolling_band(screen: FaceTrack, alive: FaceTrack) -> None:
    shown, live = measure_rolling_band(screen.times_s, screen.crops), measure_rolling_band(alive.times_s, alive.crops)
    assert shown is not None
    assert live is not None
    assert shown > live + 5


def test_a_frozen_stream_and_a_wall_have_no_rolling_band(alive: FaceTrack) -> None:
    frozen = np.repeat(alive.crops[:1], len(alive.crops), axis=0)
    assert measure_rolling_band(alive.times_s, frozen) == 0
    no_face = replace(
        alive,
        faces=np.zeros_like(alive.faces),
        regions=np.full_like(alive.regions, np.nan),
        crops=np.zeros_like(alive.crops),
        portraits=(),
        eyes=EMPTY_EYES,
        thumbnails=EMPTY_THUMBNAILS,
    )
    assert extract_cues(no_face, {}) == UNKNOWN_CUES
    assert check_liveness(no_face, {}).status is CheckStatus.UNKNOWN


def test_a_person_passes_only_with_texture() -> None:
    sure = verdict(PERSON, THRESHOLDS)
    assert sure.status is CheckStatus.PASS
    assert sure.score is not None
    assert sure.score >= THRESHOLDS.passes
    unsure = verdict(replace(PERSON, texture=None), THRESHOLDS)
    assert unsure.status is CheckStatus.UNKNOWN
    assert "fasnet" in (unsure.detail or "")


def test_a_pulse_does_not_save_a_picture() -> None:
    """Light on a photograph can vary as a pulse does."""
    photograph = replace(UNKNOWN_CUES, pulse=6.0, blinks=0, self_motion=1.0, rolling_band=8.0, border_edges=0.0)
    check = verdict(photograph, THRESHOLDS)
    assert check.status is CheckStatus.FAIL
    assert check.reason is Reason.NOT_LIVE
    assert verdict(replace(photograph, blinks=2), THRESHOLDS).status is CheckStatus.UNKNOWN
    assert verdict(replace(photograph, self_motion=2.0), THRESHOLDS).status is CheckStatus.UNKNOWN


def test_a_picture_fails_or_warns_when_not_decisive() -> None:
    for cues in (PICTURE, replace(PICTURE, texture=None)):
        check = verdict(cues, THRESHOLDS)
        assert (check.status, check.reason) == (CheckStatus.FAIL, Reason.NOT_LIVE)
    assert verdict(PICTURE, replace(THRESHOLDS, decisive=False)).status is CheckStatus.WARN


@pytest.mark.parametrize(
    "name", ["pulse", "blinks", "background_moves_with_face", "self_motion", "rolling_band", "border_edges"]
)
def test_no_single_cue_decides(name: str) -> None:
    for cues in (PERSON, PICTURE):
        lone = replace(replace(UNKNOWN_CUES, pulse=0.0), **{name: getattr(cues, name)})
        assert verdict(lone, THRESHOLDS).status is CheckStatus.UNKNOWN


def test_votes_stay_within_their_bounds() -> None:
    for fusion in load_fusions().values():
        for cues in (PERSON, PICTURE):
            for vote in fusion.votes(cues):
                assert abs(vote.log_odds) <= MAX_LOG_ODDS[vote.name]


def test_without_a_face_or_in_too_short_a_clip_liveness_is_unknown(alive: FaceTrack) -> None:
    assert verdict(UNKNOWN_CUES, THRESHOLDS).status is CheckStatus.UNKNOWN
    assert verdict(UNKNOWN_CUES, THRESHOLDS).score is None
    lost = replace(alive, regions=np.full_like(alive.regions, np.nan), faces=np.zeros_like(alive.faces))
    assert pulse_log_odds(lost) is None


def test_blinks_are_counted_while_the_eyes_move_slowly() -> None:
    rng = np.random.default_rng(0)
    times_s = np.arange(300) / 30
    still = rng.integers(0, 255, (2, *PATCH)).astype(np.uint8)
    patches = np.repeat(still[None], 300, axis=0)
    for start in (40, 120, 250):
        patches[start : start + 6] = 128 + rng.integers(-3, 3, (6, 2, *PATCH))
    assert count_blinks(Eyes(times_s, patches, np.zeros(300))) == 3
    speed = np.zeros(300)
    speed[115:130] = 3.0
    assert count_blinks(Eyes(times_s, patches, speed)) == 2
    assert count_blinks(Eyes(times_s, patches, np.full(300, 3.0))) is None
    assert count_blinks(Eyes(times_s[:60], patches[:60], np.zeros(60))) is None


def test_edges_on_both_sides_count_and_on_one_side_do_not() -> None:
    assert measure_border_edges(portrait(room())) == 0
    one = np.asarray(cv2.line(room(), (40, 10), (40, 290), (250, 250, 250), 5), np.uint8)
    assert measure_border_edges(portrait(one)) == 0
    both = np.asarray(cv2.rectangle(room(), (50, 20), (250, 280), (240, 240, 240), 6), np.uint8)
    assert measure_border_edges(portrait(both)) > 0.6


def test_the_fit_weights_informative_cues_and_no_weight_is_negative() -> None:
    rng = np.random.default_rng(1)
    clips = []
    for seed in range(80):
        live = seed % 2 == 0
        cues = replace(
            UNKNOWN_CUES, pulse=float(rng.normal(2 if live else -2, 2)), blinks=int(rng.integers(0, 2) + (not live))
        )
        clips.append(LivenessClip("live" if live else "still", seed, 1, cues))
    fusion = fit(clips, WITHOUT_TEXTURE)
    assert fusion.weights["pulse"] > 0.3
    assert fusion.weights["blinks"] == pytest.approx(0, abs=1e-3)


def test_minifasnet_separates_its_own_samples(fasnet: dict[str, Network]) -> None:
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
        place = (box.left, box.top, box.right - box.left, box.height)
        live[name] = live_probability(np.stack([crop_around(rgb, place, scale) for scale in BOX_SCALES]), fasnet)
    assert live["image_T1"] > 0.9
    assert max(live["image_F1"], live["image_F2"]) < 0.5


class RecordingNetwork:
    """Run a network, and keep its inputs."""

    def __init__(self, network: Runner) -> None:
        self._network = network
        self.inputs: list[NDArray[np.float32]] = []

    @property
    def loaded(self) -> Loaded:
        return self._network.loaded

    def __call__(self, *inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        self.inputs.extend(inputs)
        return self._network(*inputs)


def test_each_network_receives_its_own_crop_of_the_frame(alive: FaceTrack, fasnet: dict[str, Network]) -> None:
    recording = {name: RecordingNetwork(network) for name, network in fasnet.items()}
    assert extract_cues(alive, recording).texture is not None
    for near, far in zip(*(recording[name].inputs for name in FASNET), strict=True):
        assert not np.array_equal(near, far)


def test_texture_needs_both_networks(alive: FaceTrack, fasnet: dict[str, Network]) -> None:
    assert texture_log_odds(alive.portraits, fasnet) is not None
    assert texture_log_odds(alive.portraits, {}) is None
    assert texture_log_odds([], fasnet) is None
    assert texture_log_odds([portrait(room())], fasnet) is None


def test_files_other_than_minifasnet_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointUnreadable):
        graph_of(tmp_path / "w.pth")
    with pytest.raises(ModelNotInstalled, match=r"models fetch fasnet\.v2"):
        model_file("fasnet.v2", tmp_path)
