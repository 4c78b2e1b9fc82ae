"""An encoder's keyframes are periodic like a pulse and must not be reported as one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab.bench import keyframes
from lab.encode import encode
from lab.simulate import ClipSpec, simulate
from workers.face.tracker import FaceTrack, FaceTracker
from workers.media.clip import open_clip
from workers.rppg.estimators import BY_COLOUR
from workers.rppg.fusion.gate import refusal
from workers.rppg.network_sessions import RppgModels
from workers.rppg.pipeline import Examined, examine, measure_rppg
from workers.rppg.signals.keyframe_artifacts import group_length, without_jumps, without_pattern
from workers.rppg.signals.spectrum import amplitude, relative

from .conftest import MakeTrack

#: A bitrate at which the keyframes of a small picture change the skin by a third as much as the pulse does.
FEW_BITS = ClipSpec(width=320, height=240, seed=3, heart_rate=76.0, bitrate_bps=350_000)


def _coded(track: FaceTrack, length: int, depth: float, *, known: bool = True) -> FaceTrack:
    """The track after an encoder with a keyframe every `length` frames: colours drift and jump back."""
    since = np.arange(len(track.times_s)) % length
    drift = depth * np.array([0.3, 1.0, -0.6]) * (since / length - 0.5)[:, None]
    regions = (track.regions * (1 + drift[:, None])).astype(np.float32)
    # Crops are sRGB, where relative changes are about half of those in linear light.
    crops = np.clip(np.rint(track.crops * (1 + drift / 2.2)[:, None, None]), 0, 255).astype(np.uint8)
    return replace(track, regions=regions, crops=crops, is_keyframe=(since == 0) if known else None)


@pytest.mark.parametrize("rate", [52.0, 75.0, 97.0])
def test_keyframes_once_a_second_are_not_a_rate_of_sixty(
    make_track: MakeTrack, quick_models: RppgModels, rate: float
) -> None:
    track = make_track(rate_per_min=rate, strength=0.006, noise=0.001)
    # Estimators of crops reject colours other than those of blood.
    by_colour = replace(quick_models, estimators=dict(BY_COLOUR))
    misled = measure_rppg(_coded(track, 30, 0.03, known=False), by_colour).vitals["heart_rate"]
    assert misled.value is None or misled.value == pytest.approx(rate, abs=2)
    vital = measure_rppg(_coded(track, 30, 0.03), quick_models).vitals["heart_rate"]
    assert vital.value == pytest.approx(rate, abs=1)


def test_keyframes_without_a_pulse_give_no_rate(make_track: MakeTrack, quick_models: RppgModels) -> None:
    track = _coded(make_track(strength=0), 30, 0.03)
    assert measure_rppg(track, quick_models).vitals["heart_rate"].value is None


def test_a_weak_pulse_at_the_rate_of_the_keyframes_is_not_replaced_by_another_rate(
    make_track: MakeTrack, quick_models: RppgModels
) -> None:
    track = _coded(make_track(rate_per_min=60, strength=0.002, noise=0.004), 30, 0.03)
    assert measure_rppg(track, quick_models).vitals["heart_rate"].value is None


def _render(folder: Path, spec: ClipSpec) -> Path:
    path = folder / f"{spec.kind}.mp4"
    simulate(path, replace(spec, bitrate_bps=4_000_000))
    return path


def _coded_anew(path: Path, spec: ClipSpec, keyframe_s: float) -> FaceTrack:
    """The track of a clip encoded again with a low bitrate and a keyframe every `keyframe_s` seconds."""
    coded = path.with_name("coded.mp4")
    with open_clip(path) as clip:
        pictures = ((frame.time_s, frame.rgb) for frame in clip.frames())
        encode(coded, pictures, codec="h264", fps=spec.fps, bitrate_bps=spec.bitrate_bps, keyframe_s=keyframe_s)
    with open_clip(coded) as clip:
        return FaceTracker().track(clip.frames())


def test_an_encoded_pulse_is_reported_despite_stronger_keyframes_and_never_another_rate(
    tmp_path: Path, models: RppgModels, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = _render(tmp_path, FEW_BITS)
    beside = examine(_coded_anew(rendered, FEW_BITS, keyframe_s=0.9))
    assert isinstance(beside, Examined)
    pulse = beside.pulse
    assert beside.traces.keyframe_modulation > 0.3 * amplitude(
        relative(beside.traces.face[1]), 30.0, pulse.rate_per_min / 60
    )
    assert refusal(pulse) is None
    assert pulse.rate_per_min == pytest.approx(FEW_BITS.heart_rate, abs=1.5)

    few_bits = replace(FEW_BITS, bitrate_bps=200_000)
    _coded_anew(rendered, few_bits, keyframe_s=0.9)
    monkeypatch.setattr(keyframes, "SURROGATES", 20)
    assert keyframes.main([str(tmp_path / "coded.mp4")]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["keyframes_per_min"] == pytest.approx(60 / 0.9, abs=0.1)
    assert seen["coherence"]["between keyframes"]["rate"] == pytest.approx(FEW_BITS.heart_rate, abs=2)

    with_the_heart = measure_rppg(_coded_anew(rendered, FEW_BITS, keyframe_s=0.8), models).vitals["heart_rate"]
    assert with_the_heart.value is None or with_the_heart.value == pytest.approx(FEW_BITS.heart_rate, abs=1.5)


def test_an_encoded_photo_with_a_keyframe_a_second_has_no_pulse(tmp_path: Path, models: RppgModels) -> None:
    still = replace(FEW_BITS, kind="still")
    vital = measure_rppg(_coded_anew(_render(tmp_path, still), still, keyframe_s=1.0), models).vitals["heart_rate"]
    assert vital.value is None


def test_removing_jumps_keeps_a_pulse_at_the_rate_of_the_keyframes() -> None:
    keys = np.arange(450) % 30 == 0
    pulse = np.sin(2 * np.pi * np.arange(450) / 30)[:, None].astype(np.float32)
    drift = (5 * (np.arange(450) % 30) / 30)[:, None].astype(np.float32)
    stays = without_jumps(pulse + drift, keys)
    goes = without_pattern(pulse + drift, keys)
    assert np.corrcoef(stays[:, 0], pulse[:, 0])[0, 1] > 0.97
    assert goes.std() < 0.01
    jumps = np.random.default_rng(0).normal(size=15).astype(np.float32)
    uneven = without_jumps(pulse + np.cumsum(jumps * 0.05)[np.arange(450) // 30, None], keys)
    assert np.corrcoef(uneven[:, 0], pulse[:, 0])[0, 1] > 0.97


def test_a_pattern_needs_enough_regular_groups() -> None:
    keys = np.zeros(450, dtype=np.bool_)
    assert group_length(keys) is None
    keys[::250] = True
    assert group_length(keys) is None
    keys[:] = False
    keys[::30] = True
    assert group_length(keys) == 30
    assert group_length(np.ones(450, dtype=np.bool_)) is None


def test_the_repeated_pattern_is_removed_and_the_signal_kept() -> None:
    rng = np.random.default_rng(0)
    keys = np.arange(450) % 30 == 0
    signal = np.sin(2 * np.pi * 1.27 * np.arange(450) / 30)[:, None].astype(np.float32)
    pattern = rng.normal(size=30).astype(np.float32)
    cleaned = without_pattern(signal + pattern[np.arange(450) % 30, None], keys)
    assert np.corrcoef(cleaned[:, 0], signal[:, 0])[0, 1] > 0.97


@pytest.mark.parametrize("hidden", ["in one frame of each group", "in a frame of most groups", "in other frames"])
def test_a_hidden_region_leaves_the_others_clean_and_is_cleaned_itself(hidden: str) -> None:
    rng = np.random.default_rng(0)
    frames = np.arange(450)
    keys = frames % 30 == 0
    signal = np.sin(2 * np.pi * 1.27 * frames / 30).astype(np.float32)
    pattern = rng.normal(size=(30, 2)).astype(np.float32)
    values = np.stack([signal, signal], axis=1) + pattern[frames % 30]
    missing = {
        "in one frame of each group": frames % 30 == 12,
        "in a frame of most groups": (frames % 30 == 12) & (frames > 90),
        "in other frames": rng.random(450) < 0.2,
    }[hidden]
    values[missing, 1] = np.nan
    cleaned = without_pattern(values, keys)
    assert np.corrcoef(cleaned[:, 0], signal)[0, 1] > 0.97
    seen = np.isfinite(cleaned[:, 1])
    assert not seen[missing].any()
    assert seen.mean() > 0.75
    assert np.corrcoef(cleaned[seen, 1], signal[seen])[0, 1] > 0.95


@pytest.mark.parametrize("multiple", [3, 4, 5, 6, 7])
def test_long_groups_keep_a_pulse_at_a_multiple_of_their_rate(multiple: int) -> None:
    """What follows each keyframe, a jump that settles and a drift, is removed all the same."""
    frames = np.arange(6 * 99 + 40)
    since = frames % 99
    pulse = np.sin(2 * np.pi * multiple * frames / 99).astype(np.float32)
    pattern = (5 * np.exp(-since / 3) + 4 * since / 99).astype(np.float32)
    values = np.stack([pulse + pattern, pattern], axis=1)
    values[since == 50, 1] = np.nan
    cleaned = without_pattern(values, since == 0)
    assert np.corrcoef(cleaned[:, 0], pulse)[0, 1] > 0.85
    assert np.nanstd(cleaned[:, 1]) < 0.15


def test_a_region_in_too_few_groups_is_left_as_it_is() -> None:
    keys = np.arange(450) % 30 == 0
    values = np.random.default_rng(0).normal(size=(450, 2)).astype(np.float32)
    values[120:, 1] = np.nan
    cleaned = without_pattern(values, keys)
    assert np.array_equal(cleaned[:120, 1], values[:120, 1])
    assert not np.array_equal(cleaned[:120, 0], values[:120, 0])


def test_frames_without_a_face_stay_nan() -> None:
    keys = np.arange(450) % 30 == 0
    values = np.ones((450, 2), dtype=np.float32)
    values[100:200] = np.nan
    cleaned = without_pattern(values, keys)
    assert np.isnan(cleaned[100:200]).all()
    assert np.isfinite(cleaned[200:]).all()
    interpolated = without_jumps(values, keys)
    assert np.isnan(interpolated[100:200]).all()
    assert interpolated[200:] == pytest.approx(1)
