"""Clips without a living face in good light get a reason and no vital: encoded clips through the whole analysis."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.data.vitals_clips import NEGATIVES, negative_spec, render
from lab.simulate import ClipSpec, simulate
from lab.simulate.scenes import KINDS
from shared.schemas import JobState, VitalStatus
from shared.vitals import Reason
from workers.analyzer import Analyzer, AnalyzerOptions
from workers.liveness.liveness_check import LivenessThresholds

#: Long enough for a heart rate, short enough for a test.
DURATION_S = 8.0

EXPECTED = {
    "wall": {Reason.NO_FACE},
    "noise": {Reason.NO_FACE},
    "no_face": {Reason.NO_FACE},
    "two_faces": {Reason.MULTIPLE_FACES},
    "face_leaves": {Reason.FACE_LOST},
    "flicker": {Reason.LIGHTING_UNSTABLE, Reason.NO_PULSE, Reason.ESTIMATORS_DISAGREE},
    "too_short": {Reason.CLIP_TOO_SHORT},
    "low_fps": {Reason.FRAME_RATE_LOW},
}


@pytest.fixture(scope="module")
def analyzer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analyzer]:
    # Each clip is refused without the liveness check, whose reason would stand for all others.
    options = AnalyzerOptions(models_dir=tmp_path_factory.mktemp("models"), liveness=LivenessThresholds(decisive=False))
    loaded = Analyzer.load(options)
    yield loaded
    loaded.close()


#: Part of the skin is visible and pulsates: the true rate is as good as abstaining.
PARTLY_FREE = {"half_covered", "masked"}


@pytest.mark.parametrize("kind", sorted(PARTLY_FREE))
def test_a_partly_covered_face_has_the_true_rate_or_none(kind: str, analyzer: Analyzer, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    spec = ClipSpec(kind=kind, duration_s=DURATION_S, seed=21)
    simulate(clip, spec)
    heart_rate = analyzer.analyze(clip).document.vitals.heart_rate
    assert heart_rate.value is None or heart_rate.value == pytest.approx(spec.heart_rate, abs=3), heart_rate


def _spec(kind: str) -> ClipSpec:
    """A negative of `facevitals bench accuracy`, shortened; for other kinds one in good light."""
    if kind not in NEGATIVES:
        return ClipSpec(kind=kind, duration_s=DURATION_S, seed=21)
    seed = next(seed for seed in range(900_000, 900_000 + len(NEGATIVES)) if NEGATIVES[seed % len(NEGATIVES)] == kind)
    return negative_spec(seed, duration_s=DURATION_S)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"live"} - PARTLY_FREE))
def test_a_negative_gets_a_reason_and_no_heart_rate(kind: str, analyzer: Analyzer, tmp_path: Path) -> None:
    clip = render(_spec(kind), tmp_path).path
    document = analyzer.analyze(clip).document
    assert document.state is JobState.SUCCEEDED
    for name in ("heart_rate", "respiration_rate", "oxygen_saturation", "stress", "heart_rate_variability"):
        vital = document.vitals.by_name()[name]
        assert vital.value is None, f"{name}: {vital}"
        assert vital.status in {VitalStatus.ABSTAINED, VitalStatus.UNAVAILABLE}
    reason = document.vitals.heart_rate.reason
    assert reason is not None
    assert reason in EXPECTED.get(kind, set(Reason)), document.vitals.heart_rate
    if kind in {"wall", "noise", "no_face", "two_faces"}:
        assert document.vitals.age.reason is reason
        assert document.vitals.gender.reason is reason


def test_a_truncated_file_and_a_text_are_rejected_with_a_reason(analyzer: Analyzer, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("this is no video")
    document = analyzer.analyze(text).document
    assert document.state is JobState.FAILED
    assert document.error is not None
    assert document.error.code.rejects_clip
    assert all(vital.value is None and vital.reason for vital in document.vitals.by_name().values())
