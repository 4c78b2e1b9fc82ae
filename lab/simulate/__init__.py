"""Synthetic webcam clips whose truth is known: for tests, training and measurement, never for claims about people.

    truth = simulate(Path("clip.mp4"), ClipSpec(heart_rate=64, seed=7))

The names below load their modules when first used: the command line must start without video and vision packages.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.simulate.film import frame_times, simulate
    from lab.simulate.physiology import PulseWave, pulse_wave
    from lab.simulate.spec import ClipSpec
    from lab.simulate.truth import Truth

__all__ = ["ClipSpec", "PulseWave", "Truth", "frame_times", "pulse_wave", "simulate"]

_HOMES = {
    "ClipSpec": "spec",
    "PulseWave": "physiology",
    "Truth": "truth",
    "frame_times": "film",
    "pulse_wave": "physiology",
    "simulate": "film",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
