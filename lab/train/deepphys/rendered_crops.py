"""Crops of pulsating faces as the workers would cut them out of a clip, rendered directly at that size.

They show what a simulated clip (`lab.simulate`) shows of the face, at a fraction of its cost: skin with a pulse, a
moving head, lids and lips, light that drifts and flickers, a camera's response, its noise, and a real encoder. Every
condition is drawn at random, over a wider range than real rooms and cameras have.
"""

import tempfile
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.data.example import Example
from lab.encode import encode
from lab.simulate.optics import Image, Sensor, pulsation, sensor, to_srgb
from lab.simulate.physiology import live, wander
from lab.simulate.posture import RECOIL
from lab.train.deepphys.faces import SHOWN, SIDE, Face, smooth_field
from workers.face.crops import CROP_SIDE
from workers.media.downscale import downsample, octaves
from workers.rppg.signals.traces import GRID_HZ

#: Range of heart rates, /min.
RATES_PER_MIN: Final = (40.0, 180.0)
#: Sides of the crop in the clip, pixels: faces 100 to 190 pixels high.
_SIDES: Final = (128, 144, 176, 208, 240)
#: Range of bits per pixel and frame. 640 x 480 at 30 frames a second and 2.5 Mbit/s has 0.27, and a face gets more than
#: the average.
_BITS: Final = (0.06, 1.0)
#: Share of clips without a pulse: motion and flicker on a still.
PULSELESS: Final = 0.08


def render(face: Face, duration_s: float, rng: np.random.Generator, driver: Floats | None) -> Example:
    """Render one clip of `face`, `duration_s` seconds long.

    `driver` (n,) is a recorded contact wave on the grid of `GRID_HZ`, an average beat being about 1 high; without it
    the pulse comes from `lab.simulate.physiology`.
    """
    fps = float(rng.choice([30.0, 25.0, 20.0], p=[0.76, 0.14, 0.1]))
    count = round(duration_s * fps)
    jitter = rng.choice([0.0, 0.15], p=[0.7, 0.3]) * rng.standard_normal(count)
    times = (np.arange(count) + np.clip(jitter, -0.4, 0.4)) / fps
    times -= times[0]
    grid = np.arange(round(duration_s * GRID_HZ) - 2) / GRID_HZ
    if driver is None:
        rate = float(rng.uniform(*RATES_PER_MIN))
        body = live(rate, float(rng.uniform(8, 30)), duration_s, rng, float(np.exp(rng.uniform(np.log(8), np.log(70)))))
        pulse, bvp, breath = body.pulse(times), body.pulse(grid), body.lung_volume(times)
    else:
        beats = np.arange(len(driver)) / GRID_HZ
        pulse, bvp, breath = (
            np.interp(times, beats, driver),
            np.interp(grid, beats, driver),
            wander(times, 0.15, 0.5, rng),
        )
    if rng.random() < PULSELESS:
        pulse, bvp = np.zeros_like(pulse), np.zeros_like(bvp)
    frames = _encoded(_camera_frames(face, times, pulse, breath, rng), times, fps, rng)
    nearest = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    nearest -= (grid - times[nearest - 1]) < (times[nearest] - grid)
    return Example(frames[np.minimum(nearest, len(frames) - 1)], bvp.astype(np.float32))


def _camera_frames(
    face: Face, times: Floats, pulse: Floats, breath: Floats, rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """The face's square in every frame as the camera reads it, before encoding."""
    side = int(rng.choice(_SIDES))
    linear, eyes, mouth = face.linear, face.eyes[..., None], face.mouth[..., None]
    depth = float(np.exp(rng.normal(0.1, 0.5)))
    tints = np.exp(rng.normal(0, (0.2, 0.08, 0.15))).astype(np.float32)
    patchy = face.perfusion * np.exp(0.35 * smooth_field(SIDE, 4, rng))
    beat = pulsation(linear, patchy.astype(np.float32), face.skin_tone) * (depth * tints)
    lids = _blinking(times, rng)
    lips = np.clip(wander(times, 0.8, 3.5, rng), 0, None) * (0.25 if rng.random() < 0.25 else 0.0)
    skin = linear[face.perfusion > 0.6].mean(axis=0) if (face.perfusion > 0.6).any() else linear.mean(axis=(0, 1))
    places = _places(times, pulse, breath, side, rng)
    light = _Light(times, side, rng)
    level = float(np.exp(rng.uniform(np.log(0.35), np.log(2.2))))
    exposed = min(level, 0.85 / max(float(np.percentile(linear, 97)), 0.05))
    balance = (np.exp(rng.normal(0, 0.12, 3)) * exposed).astype(np.float32)
    camera = _camera(side, rng)
    frames = []
    for index in range(len(times)):
        picture = linear - np.float32(pulse[index]) * beat
        if lids[index] > 0.05:
            picture = picture + np.float32(lids[index]) * eyes * (skin - picture)
        if lips[index] > 0.02:
            picture = picture * (1 - np.float32(min(lips[index], 0.8)) * mouth)
        moved = cv2.warpAffine(picture, places[index], (side, side), borderMode=cv2.BORDER_REPLICATE)
        frames.append(camera.expose(light.on(np.asarray(moved * balance, np.float32), index)))
    return frames


def _places(times: Floats, pulse: Floats, breath: Floats, side: int, rng: np.random.Generator) -> Floats:
    """Affine map (n, 2, 3) of the face's square into each frame."""
    motion = float(np.exp(rng.uniform(np.log(0.1), np.log(4.0)))) if rng.random() < 0.9 else 0.0
    unit = SIDE * SHOWN / 1.25

    def sway(size: float, low_hz: float = 0.03, high_hz: float = 0.4) -> Floats:
        return motion * size * wander(times, low_hz, high_hz, rng)

    quick = float(rng.choice([0.4, 1.5], p=[0.75, 0.25]))
    across = sway(0.012, high_hz=quick) + rng.normal(0, 0.04)
    down = sway(0.006, high_hz=quick) - 0.003 * breath - RECOIL * rng.uniform(0, 2) * pulse + rng.normal(0, 0.04)
    roll = sway(np.radians(0.7)) + rng.normal(0, np.radians(5))
    wide = 1 + sway(0.006)
    size = np.exp(rng.normal(0, 0.08)) * (1 + sway(0.004, high_hz=0.2))
    if rng.random() < 0.15:
        # The workers' box jumps when a face has left it.
        across = across + rng.normal(0, 0.08) * (times > rng.uniform(0, times[-1]))
    scale = size * side / (SIDE * SHOWN)
    turns = np.empty((len(times), 2, 3))
    turns[:, 0, 0], turns[:, 0, 1] = scale * wide * np.cos(roll), -scale * np.sin(roll)
    turns[:, 1, 0], turns[:, 1, 1] = scale * wide * np.sin(roll), scale * np.cos(roll)
    middle = np.array([SIDE / 2, SIDE / 2])
    turns[:, :, 2] = side / 2 + scale[:, None] * unit * np.stack([across, down], axis=1) - turns[:, :, :2] @ middle
    return turns


def _blinking(times: Floats, rng: np.random.Generator) -> Floats:
    lids = np.zeros(len(times))
    for moment in np.cumsum(rng.exponential(4.0, 12)):
        lids = np.maximum(lids, np.clip(1.6 - np.abs(times - moment) / 0.08, 0, 1))
    return lids


class _Light:
    """Level, colour and direction of the light in each frame; with some probability a flickering lamp or screen."""

    def __init__(self, times: Floats, side: int, rng: np.random.Generator) -> None:
        drift = float(np.exp(rng.uniform(np.log(0.001), np.log(0.05))))
        level = 1 + drift * wander(times, 0.02, 0.4, rng)
        if rng.random() < 0.2:
            depth = np.exp(rng.uniform(np.log(0.0005), np.log(0.02)))
            level = level * (1 + depth * np.sin(2 * np.pi * rng.uniform(0.3, 14) * times + rng.uniform(0, 6.3)))
        colours = [float(rng.choice([0.1, 0.4])) * drift * wander(times, 0.02, 0.4, rng) for _ in range(3)]
        if rng.random() < 0.15:
            colours = [colour + 0.01 * np.round(wander(times, 0.1, 1.0, rng)) * rng.normal() for colour in colours]
        self._gain = np.stack([level * (1 + colour) for colour in colours], axis=1)
        self._tilt = rng.normal(0, 0.15) + 0.5 * drift * wander(times, 0.02, 0.4, rng)
        self._side = np.linspace(-1, 1, side, dtype=np.float32)[None, :, None]
        self._shine = np.clip(smooth_field(side, 4, rng), 0, None)[..., None] * np.float32(rng.uniform(0, 0.02))
        self._glint = 1 + 0.5 * wander(times, 0.05, 0.8, rng)

    def on(self, picture: Image, index: int) -> Image:
        gain = (self._gain[index] * (1 + float(self._tilt[index]) * self._side)).astype(np.float32)
        lit = (picture + self._shine * np.float32(self._glint[index])) * gain
        return np.asarray(np.maximum(lit, 0), np.float32)


def _camera(side: int, rng: np.random.Generator) -> Sensor:
    """A sensor in light of a random level, with a random contrast and gamma."""
    camera = sensor(side, side, float(np.exp(rng.uniform(np.log(0.15), 0))), rng)
    gamma, contrast = rng.uniform(0.8, 1.2), rng.uniform(-0.25, 0.25)

    def response(value: Floats) -> Floats:
        code = to_srgb(value) ** gamma
        return code + contrast * code * (1 - code) * (2 * code - 1)

    return camera.with_response(response)


def _encoded(frames: list[NDArray[np.uint8]], times: Floats, fps: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frames, most of them through an encoder and back, scaled down as the workers do it: (n, 72, 72, 3)."""
    if rng.random() < 0.85:
        codec, suffix = ("h264", ".mp4") if rng.random() < 0.55 else ("vp8", ".webm")
        bits = float(np.exp(rng.uniform(*np.log(_BITS))))
        side = len(frames[0])
        # Even times, since containers store whole ticks and jittered frames could share one.
        even = np.arange(len(times)) / fps
        with tempfile.TemporaryDirectory(prefix="facevitals-train-") as folder:
            path = Path(folder) / f"crop{suffix}"
            encode(
                path,
                zip(even.tolist(), frames, strict=True),
                codec=codec,
                fps=fps,
                bitrate_bps=max(20_000, round(bits * side * side * fps)),
                keyframe_s=float(rng.choice([3.3, 3.3, 1.0, 8.0])),
            )
            frames = _decoded(path)
    return np.stack([_small(frame) for frame in frames])


def _decoded(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A frame scaled down as `workers.face.crops` does it, (72, 72, 3)."""
    part = downsample(frame, octaves(len(frame), 2 * CROP_SIDE))
    return np.asarray(cv2.resize(part, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA), np.uint8)
