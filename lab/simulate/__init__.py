"""Synthetic webcam clips with known truth: for tests, training and measurement, never for claims about people."""

from lab.simulate.physiology import PulseWave, pulse_wave
from lab.simulate.render import frame_times, simulate
from lab.simulate.spec import ClipSpec
from lab.simulate.truth import Truth

__all__ = ["ClipSpec", "PulseWave", "Truth", "frame_times", "pulse_wave", "simulate"]
