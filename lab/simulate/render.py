"""Render a `ClipSpec` to a file: scene, light, sensor, encoder."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.arrays import Floats
from lab.encode import TICKS, encode, presentation_times
from lab.simulate.optics import Image, sensor
from lab.simulate.physiology import sample_body, wander
from lab.simulate.scenes import KINDS, Scene, Setting
from lab.simulate.spec import ClipSpec, codec_of
from lab.simulate.truth import Truth, truth_of

#: Called with frames done and frames to do.
FrameProgress = Callable[[int, int], None]


def simulate(path: Path, spec: ClipSpec | None = None, on_progress: FrameProgress | None = None) -> Truth:
    """Render `spec` (by default a quiet recording of 15 s) to `path` (.mp4 or .webm).

    The clip's truth is written beside it, with the suffix `.truth.json`. The same spec gives the same frames, and in
    the same environment the same bytes.

    Raises:
        ValueError: the spec or the file name can't be rendered, or no face is found in the portrait.
        OSError: a file can't be written.
    """
    requested = spec or ClipSpec()
    kind = KINDS.get(requested.kind)
    if kind is None:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {requested.kind!r}")
    spec = kind.change(requested)
    codec = codec_of(path, spec.codec)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist")
    times = frame_times(spec, TICKS[path.suffix.lower()])
    scene = kind.build(Setting(spec, times, np.random.default_rng([spec.seed, 1])))
    encode(
        path,
        _frames(spec, times, scene, on_progress),
        codec=codec,
        fps=spec.fps,
        bitrate_bps=spec.bitrate_bps,
        duration_header=spec.duration_header,
    )
    truth = truth_of(
        replace(spec, codec=codec), times, sample_body(scene.body, times) if scene.body else None, scene.faces
    )
    path.with_suffix(".truth.json").write_text(truth.to_json() + "\n", encoding="utf-8")
    return truth


def frame_times(spec: ClipSpec, ticks: int = 90_000) -> Floats:
    """Presentation times (n,) of the frames in seconds, the first 0, in steps of 1/`ticks` s.

    `spec` gives the jitter and the share of dropped frames.
    """
    rng = np.random.default_rng([spec.seed, 3])
    count = max(1, round(spec.duration_s * spec.fps))
    return presentation_times(count, spec.fps, spec.jitter, spec.dropped, ticks, rng)


def _frames(
    spec: ClipSpec, times: Floats, scene: Scene, on_progress: FrameProgress | None
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # one core a clip: grids of clips run side by side
    try:
        camera = sensor(spec.width, spec.height, spec.light, np.random.default_rng([spec.seed, 4]))
        light = _Light(spec, times)
        shot: NDArray[np.uint8] | None = None
        for index, time_s in enumerate(times):
            if shot is None or scene.frozen is None or index <= scene.frozen:
                shot = camera.expose(light.on(scene.picture(index), index))
            yield float(time_s), shot
            if on_progress is not None:
                on_progress(index + 1, len(times))
    finally:
        cv2.setNumThreads(threads)


class _Light:
    """Slow drift of the room's light in level, colour and direction, and a lamp's flicker."""

    def __init__(self, spec: ClipSpec, times: Floats) -> None:
        rng = np.random.default_rng([spec.seed, 5])
        level = 1 + spec.light_drift * wander(times, 0.02, 0.25, rng)
        level *= 1 + spec.flicker_depth / 2 * np.sin(2 * np.pi * spec.flicker_hz * times + rng.uniform(0, 2 * np.pi))
        tint = [0.15 * spec.light_drift * wander(times, 0.02, 0.2, rng) for _ in range(3)]
        self._gain = np.stack([level * (1 + colour) for colour in tint], axis=1)
        self._tilt = 0.4 * spec.light_drift * wander(times, 0.02, 0.25, rng)
        self._side = np.linspace(-1, 1, spec.width, dtype=np.float32)[None, :, None]

    def on(self, picture: Image, index: int) -> Image:
        gain = (self._gain[index] * (1 + float(self._tilt[index]) * self._side)).astype(np.float32)
        return np.asarray(picture * gain, dtype=np.float32)
