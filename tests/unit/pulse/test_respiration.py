"""Respiration is estimated from the motion of shoulders and chest, and not from noise, light or the head."""

import json
from dataclasses import asdict
from importlib.resources import files

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.calibrate import respiration as fitting
from lab.calibrate.respiration_table import read
from workers.face.chest_patches import EMPTY_TORSO, Torso, TorsoCollector
from workers.rppg.signals.chest_motion import block_flow, chest_position
from workers.rppg.signals.traces import Traces
from workers.rppg.vitals.breathing import RATES_PER_MIN, breathing_of, explained_share
from workers.rppg.vitals.chest_checks import ChestChecks, amplitude_at, chest_checks
from workers.rppg.vitals.respiration_rate import MODEL, refusal, respiration_rate

FS = 7.5
TIMES = np.arange(round(15 * FS)) / FS
GRID = np.arange(450) / 30
#: A chest that moves as a breath moves it.
CLEAR = ChestChecks(amplitude=0.012, own=0.9, lit=0.1)


def _breath(rate: float, noise: float = 0.2, seed: int = 0) -> NDArray[np.float64]:
    wave = np.sin(2 * np.pi * rate / 60 * TIMES + 0.7) + noise * np.random.default_rng(seed).normal(size=len(TIMES))
    return np.asarray(wave, np.float64)


def _traces(chest: NDArray[np.float64], head: NDArray[np.float64], light: NDArray[np.float64]) -> Traces:
    """Traces of 15 s: head (6, n), and the light (n,) on face, clothes and background, of mean 1."""
    n = len(chest)
    colours = np.repeat(light[None], 3, axis=0)
    return Traces(
        fs=30.0,
        times_s=np.arange(n) / 30,
        regions=np.repeat(0.3 * colours[None], 4, axis=0),
        background=0.5 * colours,
        motion=np.zeros(n),
        crops=np.zeros((n, 1, 1, 3), np.uint8),
        position=np.zeros((2, n)),
        seen=np.ones(n, np.bool_),
        gaps=(),
        frames=n,
        chest=chest,
        clothes=0.2 * colours,
        head=head,
    )


def _sway(seed: int) -> NDArray[np.float64]:
    """Six axes (6, n) of a head that wanders, each about 0.01."""
    steps = np.random.default_rng(seed).normal(size=(6, len(GRID)))
    smooth = np.apply_along_axis(lambda row: np.convolve(row, np.hanning(45), "same"), 1, steps)
    return np.asarray(0.01 * smooth / smooth.std(axis=1, keepdims=True), np.float64)


@pytest.mark.parametrize("rate", [8.0, 12.0, 18.0, 24.0, 30.0])
def test_a_clear_motion_of_the_chest_gives_its_rate(rate: float) -> None:
    breathing = breathing_of(_breath(rate), FS)
    assert breathing.rate_per_min == pytest.approx(rate, abs=1)
    assert refusal(breathing, CLEAR, alive=False, sway=0.002) is None
    interval = respiration_rate(breathing, 450).interval
    assert interval is not None
    assert interval[0] <= rate <= interval[1]


@pytest.mark.parametrize("rate", [2.5, 3.3, 45.5, 46.0])
def test_breathing_slower_or_faster_than_the_range_is_not_reported_as_its_edge(rate: float) -> None:
    times = np.arange(round(30 * FS)) / FS
    breathing = breathing_of(np.sin(2 * np.pi * rate / 60 * times + 0.7), FS)
    assert breathing.at_edge
    assert breathing.confidence > 0.9
    assert "at the edge of the range 4 to 45 /min" in str(refusal(breathing, CLEAR, alive=True))


@pytest.mark.parametrize("kind", ["white", "walk"])
def test_noise_gives_no_respiration_rate(kind: str) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, len(TIMES)))
    noise = noise.cumsum(axis=-1) if kind == "walk" else noise
    assert sum(refusal(breathing_of(wave, FS), CLEAR, alive=True) is None for wave in noise) <= 1


def test_a_constant_signal_has_no_spectrum() -> None:
    assert (explained_share(np.zeros(100), FS) == 0).all()
    assert refusal(breathing_of(np.zeros(100), FS), CLEAR, alive=True) == "the motion of the shoulders is not periodic"


@pytest.mark.parametrize("shake_hz", [7.25, 7.8, 14.7])
def test_a_shake_near_the_decimated_sampling_rate_is_no_breath(shake_hz: float) -> None:
    shake = 0.02 * np.sin(2 * np.pi * shake_hz * GRID)
    assert breathing_of(shake + 1e-5 * _sway(1)[0], 30.0).prominence < MODEL.min_prominence
    breath = 0.01 * np.sin(2 * np.pi * 18 / 60 * GRID)
    assert breathing_of(breath + shake, 30.0).rate_per_min == pytest.approx(18, abs=0.5)


def test_an_irregular_breath_has_a_wider_interval_and_a_short_clip_as_well() -> None:
    regular, irregular = breathing_of(_breath(12, 0.1), FS), breathing_of(_breath(12, 0.6), FS)
    assert MODEL.half_width_per_min(irregular) > MODEL.half_width_per_min(regular)
    assert MODEL.half_width_per_min(breathing_of(_breath(12, 0.1)[: round(10 * FS)], FS)) > MODEL.half_width_per_min(
        regular
    )


def test_a_chest_that_moves_on_its_own_needs_no_pulse_but_a_picture_does_not_breathe() -> None:
    breath, head, even = np.sin(2 * np.pi * 0.25 * GRID), _sway(2), np.ones(len(GRID))

    def refused(chest: NDArray[np.float64], moved: NDArray[np.float64], sway: float = 0.002) -> str | None:
        checks = chest_checks(chest, _traces(chest, moved, even), 15.0)
        return refusal(breathing_of(chest, 30.0), checks, alive=False, sway=sway)

    head[1] += 0.003 * np.sin(2 * np.pi * 0.25 * GRID + 0.5)
    assert refused(0.011 * breath + 0.3 * head[1], head) is None
    assert refused(0.011 * breath, head, sway=0.0001) == "the head does not move at all, as in a picture"
    assert "hardly move" in str(refused(0.0005 * breath, head)), "the chest of a picture hardly moves"
    assert "further" in str(refused(0.5 * breath, head)), "the chest of a waved picture moves too far"
    waved = _sway(3)
    waved[3] += 0.03 * breath
    assert "hardly move" in str(refused(0.5 * waved[3] + 0.1 * waved[1], waved)), "a picture moves as one piece"


def test_the_shipped_numbers_are_those_of_the_table_in_the_repository() -> None:
    examples = read()
    shipped = json.loads((files("workers.rppg.fusion") / "calibration.json").read_text("utf-8"))["respiration"]
    assert asdict(fitting.fit(examples)) == {**shipped, "interval": tuple(shipped["interval"])}
    reported = [one for one in examples if fitting.is_reported(one, MODEL)]
    assert all(one.alive and one.error_per_min <= fitting.WRONG_PER_MIN for one in reported)
    assert sum(one.whole for one in reported) > 250


def test_a_living_person_may_breathe_with_the_whole_body() -> None:
    breathing = breathing_of(_breath(15), FS)
    assert refusal(breathing, ChestChecks(amplitude=0.012, own=0.1, lit=0.1), alive=True) is None


def test_light_that_varies_as_the_chest_moves_is_no_breath() -> None:
    breath = np.sin(2 * np.pi * 0.25 * GRID)
    chest, head = 0.011 * breath, _sway(4)
    lit = chest_checks(chest, _traces(chest, head, 1 + 0.02 * breath), 15.0)
    assert "light" in str(refusal(breathing_of(chest, 30.0), lit, alive=True))
    other = chest_checks(chest, _traces(chest, head, 1 + 0.02 * np.sin(2 * np.pi * 0.4 * GRID)), 15.0)
    assert refusal(breathing_of(chest, 30.0), other, alive=True) is None


def _torso(rise_pixels: NDArray[np.float64]) -> Torso:
    """Patches (m, 40, 80) of stripes and noise that move down by `rise_pixels`."""
    rng = np.random.default_rng(0)
    rows = np.arange(40)[:, None]
    patches = [
        120 + 60 * np.sin(2 * np.pi * (rows - shift) / 13) + np.zeros((1, 80)) + 2 * rng.normal(size=(40, 80))
        for shift in rise_pixels
    ]
    return Torso(TIMES, np.clip(patches, 0, 255).astype(np.uint8), 40.0)


def test_block_flow_follows_subpixel_motion() -> None:
    shift = 0.6 * np.sin(2 * np.pi * 0.25 * TIMES)
    followed = np.cumsum(block_flow(_torso(shift).patches), axis=0).mean(axis=1)
    assert np.corrcoef(followed, shift)[0, 1] > 0.98
    assert followed.std() == pytest.approx(shift.std(), rel=0.2)


@pytest.mark.parametrize("depth", [0.02, 0.05])
def test_a_change_of_the_light_shifts_no_block(depth: float) -> None:
    light = (1 + depth * np.sin(2 * np.pi * 0.3 * TIMES))[:, None, None]
    steady = _torso(np.zeros(len(TIMES)))
    lit = Torso(TIMES, np.clip(steady.patches * light, 0, 255).astype(np.uint8), 40.0)
    shifts = np.cumsum(block_flow(lit.patches), axis=0)
    assert max(amplitude_at(shift, FS, 0.3) for shift in shifts.T) < depth


def test_a_chest_that_rises_and_falls_gives_its_rate() -> None:
    position = chest_position(_torso(0.5 * np.sin(2 * np.pi * 0.3 * TIMES)), TIMES)
    assert position is not None
    assert RATES_PER_MIN[np.argmax(explained_share(position, FS))] == pytest.approx(18, abs=0.7)


def _collected(shake_hz: float, fps: float) -> Torso:
    """The torso of someone who breathes 15 times a minute before a camera that shakes by two pixels."""
    collector = TorsoCollector()
    mesh = np.tile(np.array([[120.0, 20.0], [200.0, 110.0]], np.float32), (239, 1))
    rows = np.arange(240)[:, None]
    for time_s in np.arange(round(15 * fps)) / fps:
        shift = 1.5 * np.sin(2 * np.pi * 0.25 * time_s) + 2 * np.sin(2 * np.pi * shake_hz * time_s)
        stripes = 120 + 60 * np.sin(2 * np.pi * (rows - shift) / 40) + 30 * np.sin(2 * np.pi * (rows - shift) / 27)
        picture = np.repeat(np.repeat(stripes, 320, axis=1)[..., None], 3, axis=2)
        collector.add(float(time_s), picture.astype(np.uint8), mesh)
    return collector.finish()


@pytest.mark.parametrize("fps", [15.0, 24.0, 30.0, 60.0])
@pytest.mark.parametrize("shake_hz", [0.0, 5.65, 6.3, 6.6])
def test_a_camera_that_shakes_near_the_rate_of_the_patches_moves_no_chest(shake_hz: float, fps: float) -> None:
    torso = _collected(shake_hz, fps)
    assert np.diff(torso.times_s) == pytest.approx(1 / 6, abs=1.1 / fps)
    times = np.arange(450) / 30
    position = chest_position(torso, times)
    assert position is not None
    assert RATES_PER_MIN[np.argmax(explained_share(position, 30.0))] == pytest.approx(15, abs=1)


def test_without_a_torso_there_is_no_chest_motion() -> None:
    assert chest_position(EMPTY_TORSO, TIMES) is None
    blank = Torso(TIMES, np.full((len(TIMES), 40, 80), 90, np.uint8), 40.0)
    assert chest_position(blank, TIMES) is None
