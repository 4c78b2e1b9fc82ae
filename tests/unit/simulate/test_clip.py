"""Properties of simulated clips, checked on the encoded file."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lab.simulate import ClipSpec, simulate
from lab.simulate.optics import PULSE_SIGNATURE
from tests.unit.simulate.colour import cheeks, decoded, faces_in, pos, rate

SMALL = ClipSpec(width=320, height=240, duration_s=2.0, bitrate_bps=600_000)
GOOD = ClipSpec(duration_s=10.0, bitrate_bps=12_000_000, heart_rate=66, seed=5)
"""Where a pulse has to be found: enough bits for the chroma to keep it."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "good.mp4"
    simulate(path, GOOD)
    return path


@pytest.fixture(scope="module")
def colours(clip: Path) -> NDArray[np.float64]:
    return cheeks(decoded(clip)[1])


def test_the_pulse_survives_camera_and_codec(colours: NDArray[np.float64]) -> None:
    assert rate(pos(colours, 30), 30) == pytest.approx(66, abs=1.5)


def test_skin_pulsates_as_strongly_as_published_and_most_in_green(colours: NDArray[np.float64], clip: Path) -> None:
    # The change of colour at the pulse's own times, free of drift: fit each channel by the true wave and slow curves.
    truth = json.loads(clip.with_suffix(".truth.json").read_text())
    time = np.linspace(-1, 1, len(colours))
    slow = np.stack([np.cos(k * np.pi * (time + 1) / 2) for k in range(16)], axis=1)
    basis = np.column_stack([np.array(truth["bvp"]), slow])
    red, green, blue = -np.linalg.lstsq(basis, colours / colours.mean(axis=0), rcond=None)[0][0]
    assert 0.01 < green < 0.025  # peak to trough; half of it is the usual 0.5-1 % of amplitude
    assert red / green == pytest.approx(PULSE_SIGNATURE[0] / PULSE_SIGNATURE[1], abs=0.2)
    assert blue / green == pytest.approx(PULSE_SIGNATURE[2] / PULSE_SIGNATURE[1], abs=0.25)


def test_every_frame_shows_one_face(clip: Path) -> None:
    assert set(faces_in(decoded(clip)[1], stride=15)) == {1}


def test_the_background_does_not_pulsate(clip: Path) -> None:
    truth = json.loads(clip.with_suffix(".truth.json").read_text())
    corner = np.array([frame[:100, :60].mean() for frame in decoded(clip)[1]])
    time = np.linspace(-1, 1, len(corner))
    slow = np.stack([np.cos(k * np.pi * (time + 1) / 2) for k in range(16)], axis=1)
    basis = np.column_stack([np.array(truth["bvp"]), slow])
    assert abs(np.linalg.lstsq(basis, corner / corner.mean(), rcond=None)[0][0]) < 0.001


def test_shoulders_rise_with_the_breath(tmp_path: Path) -> None:
    spec = ClipSpec(motion=0, light_drift=0, blink_rate=0, respiration_rate=20, duration_s=9, bitrate_bps=8_000_000)
    simulate(tmp_path / "clip.mp4", spec)
    # The edge of the shoulder, row by row: bright wall above, orange suit below, so more blue is less shoulder.
    blue = np.array([frame[400:478, 40:140, 2].mean() for frame in decoded(tmp_path / "clip.mp4")[1]])
    assert rate(blue, 30, low=8, high=40) == pytest.approx(20, abs=2)


def test_dark_skin_is_darker_and_pulsates_less(tmp_path: Path) -> None:
    pulses, shades = [], []
    for tone in (1, 6):
        path = tmp_path / f"{tone}.mp4"
        truth = simulate(path, replace(GOOD, duration_s=4.0, skin_tone=tone, motion=0, light_drift=0))
        seen = cheeks(decoded(path)[1])
        basis = np.column_stack([np.array(truth.bvp), np.ones(len(seen)), np.linspace(-1, 1, len(seen))])
        pulses.append(-np.linalg.lstsq(basis, seen[:, 1] / seen[:, 1].mean(), rcond=None)[0][0])
        shades.append(seen[:, 1].mean())
    assert pulses[1] < 0.5 * pulses[0]
    assert shades[1] < 0.3 * shades[0]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("a.webm", "vp8"), ("a.webm", "vp9")])
def test_the_same_seed_gives_the_same_bytes(name: str, codec: str, tmp_path: Path) -> None:
    hashes = set()
    for folder in ("first", "second"):
        path = tmp_path / folder / name
        path.parent.mkdir()
        simulate(path, replace(SMALL, codec=codec, duration_s=1.0))
        hashes.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_another_seed_gives_another_clip(tmp_path: Path) -> None:
    for seed in (1, 2):
        simulate(tmp_path / f"{seed}.mp4", replace(SMALL, seed=seed, duration_s=0.5))
    assert (tmp_path / "1.mp4").read_bytes() != (tmp_path / "2.mp4").read_bytes()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.webm"])
@pytest.mark.parametrize("header", [True, False])
def test_times_are_true_and_jittered_in_both_containers(name: str, header: bool, tmp_path: Path) -> None:
    path = tmp_path / name
    truth = simulate(path, replace(SMALL, jitter=0.2, dropped=0.1, fps=24, duration_header=header))
    times, frames = decoded(path)
    assert len(frames) == truth.frames < 48
    assert times == pytest.approx(truth.frame_times_s, abs=1e-3)
    assert np.diff(times).std() > 0.004
    with av.open(str(path)) as container:
        assert bool(container.duration or container.streams.video[0].duration) or not header
        if not header and name.endswith("webm"):
            assert container.duration is None


def test_progress_is_reported_for_each_frame(tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    simulate(tmp_path / "clip.mp4", replace(SMALL, duration_s=0.5), lambda done, total: reported.append((done, total)))
    assert reported == [(done, 15) for done in range(1, 16)]


def test_the_truth_is_written_beside_the_clip(tmp_path: Path) -> None:
    truth = simulate(tmp_path / "clip.mp4", replace(SMALL, duration_s=8.0, fps=8))
    written = json.loads((tmp_path / "clip.truth.json").read_text())
    assert written == json.loads(truth.to_json())
    assert written["heart_rate"] == pytest.approx(60 / np.diff(truth.beat_times_s).mean(), abs=0.01)
    assert written["seed"] == 1
    assert written["conditions"]["motion"] == 1.0
    assert len(written["bvp"]) == len(written["frame_times_s"]) == 64


@pytest.mark.parametrize(
    "wrong", [{"heart_rate": 300}, {"fps": 0}, {"skin_tone": 7}, {"width": 321}, {"codec": "mpeg2"}, {"jitter": -1}]
)
def test_impossible_conditions_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClipSpec(**wrong)  # type: ignore[arg-type]


def test_names_and_codecs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mp4 or"):
        simulate(tmp_path / "clip.avi", SMALL)
    with pytest.raises(ValueError, match="holds"):
        simulate(tmp_path / "clip.mp4", replace(SMALL, codec="vp8"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        simulate(tmp_path / "nowhere" / "clip.mp4", SMALL)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_clip_leaves_no_file(tmp_path: Path) -> None:
    def give_up(done: int, _: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "clip.mp4", SMALL, give_up)
    assert not list(tmp_path.iterdir())
