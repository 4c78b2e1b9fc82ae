"""`ClipSpec`: every condition of a synthetic clip, as one value."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

#: Codecs by container suffix; the first is the default.
CODECS_OF = {".mp4": ("h264",), ".webm": ("vp8", "vp9")}


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value:g}")


@dataclass(frozen=True)
class ClipSpec:
    """Conditions of a clip; the defaults are a quiet, well-lit webcam recording of 15 s.

    heart_rate, respiration_rate  /min, mean over the clip
    hrv_sdnn_ms      standard deviation of the beat intervals over long times, ms; less above 100 /min
    duration_s, fps  length in seconds; nominal frames per second
    width, height    pixels, even
    seed             the same seed gives the same clip
    codec            "h264" (MP4), "vp8" or "vp9" (WebM); None takes the container's default
    bitrate_bps      bits per second
    jitter           standard deviation of the time between frames, as a share of 1/fps; 0 is a constant rate
    dropped          share of frames that are lost
    duration_header  False writes the file as MediaRecorder does: no duration, no index
    skin_tone        Fitzpatrick type, 1 to 6: colour of the skin and strength of its pulse
    pulse_strength   factor on the pulse of that type
    motion           factor on head sway and rotation; 0 holds still, 1 sits naturally, 3 fidgets
    light            illumination; 1 is a bright room, 0.1 a dark one
    light_drift      standard deviation of slow changes of the light, as a share
    flicker_hz, flicker_depth  a lamp's flicker as the camera records it (after aliasing), depth as a share
    blink_rate       /min
    kind             one of `lab.simulate.scenes.KINDS`: "live" or a negative
    portrait         another face: a picture file, or (h, w, 3) uint8 RGB; None is scikit-image's astronaut
    portrait_skin_tone  the Fitzpatrick type that the portrait shows

    Raises:
        ValueError: a value is out of its range.
    """

    heart_rate: float = 72.0
    respiration_rate: float = 15.0
    hrv_sdnn_ms: float = 30.0
    duration_s: float = 15.0
    fps: float = 30.0
    width: int = 640
    height: int = 480
    seed: int = 1
    codec: str | None = None
    bitrate_bps: int = 2_500_000
    jitter: float = 0.0
    dropped: float = 0.0
    duration_header: bool = True
    skin_tone: int = 2
    pulse_strength: float = 1.0
    motion: float = 1.0
    light: float = 1.0
    light_drift: float = 0.01
    flicker_hz: float = 0.0
    flicker_depth: float = 0.0
    blink_rate: float = 14.0
    kind: str = "live"
    portrait: Path | NDArray[np.uint8] | None = field(default=None, compare=False)
    portrait_skin_tone: int = 2

    def __post_init__(self) -> None:
        _within("heart_rate", self.heart_rate, 30, 220)
        _within("respiration_rate", self.respiration_rate, 4, 60)
        _within("hrv_sdnn_ms", self.hrv_sdnn_ms, 0, 200)
        _within("duration_s", self.duration_s, 0.5, 600)
        _within("fps", self.fps, 1, 120)
        _within("width", self.width, 64, 3840)
        _within("height", self.height, 64, 2160)
        if self.width % 2 or self.height % 2:
            raise ValueError(f"width and height must be even, not {self.width}x{self.height}")
        _within("seed", self.seed, 0, 2**32 - 1)
        _within("bitrate_bps", self.bitrate_bps, 20_000, 100_000_000)
        _within("jitter", self.jitter, 0, 0.45)
        _within("dropped", self.dropped, 0, 0.9)
        _within("skin_tone", self.skin_tone, 1, 6)
        _within("portrait_skin_tone", self.portrait_skin_tone, 1, 6)
        _within("pulse_strength", self.pulse_strength, 0, 10)
        _within("motion", self.motion, 0, 5)
        _within("light", self.light, 0.01, 1)
        _within("light_drift", self.light_drift, 0, 0.5)
        _within("flicker_hz", self.flicker_hz, 0, 60)
        _within("flicker_depth", self.flicker_depth, 0, 0.9)
        _within("blink_rate", self.blink_rate, 0, 60)
        if self.codec is not None and self.codec not in {codec for codecs in CODECS_OF.values() for codec in codecs}:
            raise ValueError(f"codec must be h264, vp8 or vp9, not {self.codec!r}")


def codec_of(path: Path, codec: str | None) -> str:
    """The codec for a file named `path`: `codec`, or the container's default.

    Raises:
        ValueError: the suffix is not .mp4 or .webm, or the container can't hold the codec.
    """
    codecs = CODECS_OF.get(path.suffix.lower())
    if codecs is None:
        raise ValueError(f"the clip's name must end in .mp4 or .webm, not {path.suffix!r}")
    if codec is not None and codec not in codecs:
        raise ValueError(f"{path.suffix} holds {' or '.join(codecs)}, not {codec}")
    return codec or codecs[0]
